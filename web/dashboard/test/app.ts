// The program as people run it, in a folder of its own, and a browser before it.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from "playwright-core";
import { expect } from "vitest";
import { sealog } from "../../client/test/server.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** `sealog serve`, or `sealog demo`, which can be killed and started again at the same address. */
export class App {
  readonly folder = mkdtempSync(join(tmpdir(), "sealog-dashboard-"));
  readonly log = join(this.folder, "log/audit.db");
  url = "";
  key = "";
  /** Whether reads are events too. */
  logsReads = false;
  #process: ChildProcess | undefined;

  /** Serves a log; `before` writes it. */
  static async serve(before?: (app: App) => void): Promise<App> {
    const app = new App();
    execFileSync("mkdir", [join(app.folder, "log")]);
    before?.(app);
    await app.start();
    app.key = readFileSync(`${app.log}.admin-key`, "utf8").trim();
    return app;
  }

  static async demo(...options: string[]): Promise<App> {
    const app = new App();
    const told = await app.#spawn(["demo", "--dir", join(app.folder, "log"), "--listen", "127.0.0.1:0", "--json", ...options]);
    app.url = told.url!;
    app.key = told.key!;
    return app;
  }

  async start(): Promise<void> {
    const listen = this.url === "" ? "127.0.0.1:0" : new URL(this.url).host;
    const told = await this.#spawn(["serve", "--log", this.log, "--listen", listen, "--json", "--read-events", String(this.logsReads), "--log-level", "error"]);
    this.url = told.url!;
  }

  async #spawn(args: string[]): Promise<Record<string, string>> {
    const started = spawn(sealog(), args, { stdio: ["ignore", "pipe", "pipe"], cwd: this.folder });
    let said = "";
    started.stderr!.on("data", (piece) => (said += String(piece)));
    this.#process = started;
    const [line] = (await Promise.race([
      once(createInterface({ input: started.stdout! }), "line"),
      once(started, "exit").then(([code]) => Promise.reject(new Error(`sealog ${args[0]} ended with ${String(code)}: ${said}`))),
    ])) as [string];
    return JSON.parse(line) as Record<string, string>;
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    const running = this.#process;
    this.#process = undefined;
    if (!running || running.exitCode !== null) {
      return running?.exitCode ?? null;
    }
    const ended = once(running, "exit");
    running.kill(signal);
    const [code] = (await ended) as [number | null];
    return code;
  }

  run(...args: string[]): string {
    return execFileSync(sealog(), args, { encoding: "utf8", cwd: this.folder, stdio: ["ignore", "pipe", "ignore"], maxBuffer: 1 << 28 });
  }

  /** Runs it with this on its standard input, which may be long. */
  runWith(pieces: Iterable<string>, ...args: string[]): void {
    const path = join(this.folder, "input");
    const file = openSync(path, "w");
    for (const piece of pieces) {
      writeSync(file, piece);
    }
    closeSync(file);
    const input = openSync(path, "r");
    execFileSync(sealog(), args, { cwd: this.folder, stdio: [input, "ignore", "ignore"] });
    closeSync(input);
    rmSync(path);
  }

  /** Asks the server as any client would. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers = { authorization: `Bearer ${this.key}`, "content-type": "application/json" };
    const answer = await fetch(this.url + path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await answer.text();
    expect(answer.ok, `${method} ${path}: ${text}`).toBe(true);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  /** Ends it as a service manager does, and verifies what it leaves. */
  async close(): Promise<void> {
    await this.kill("SIGTERM");
    this.run("verify", "--log", this.log);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function launch(): Promise<Browser> {
  const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // A name that is not this machine's own, for what browsers allow there over plain HTTP.
      "--host-resolver-rules=MAP sealog.test 127.0.0.1",
    ],
  });
}

/** Somebody at a browser of their own, and what must not happen there. */
export class Visitor {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly #wrong: string[] = [];

  private constructor(context: BrowserContext, page: Page, url: string) {
    this.context = context;
    this.page = page;
    page.on("pageerror", (error) => this.#wrong.push(`error: ${error.message}`));
    page.on("console", (message) => {
      // That a server is away, says no, or is reached over plain HTTP, is what some tests are about.
      if (message.type() === "error" && !/Failed to load resource|net::ERR|Cross-Origin-Opener-Policy header has been ignored/.test(message.text())) {
        this.#wrong.push(`console: ${message.text()}`);
      }
    });
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== url && !/^(blob|data):/.test(request.url())) {
        this.#wrong.push(`asked another: ${request.url()}`);
      }
    });
  }

  static async of(browser: Browser, { url, key }: Pick<App, "url" | "key">, options: BrowserContextOptions & { at?: string } = {}): Promise<Visitor> {
    const { at = "/", ...rest } = options;
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: "UTC", locale: "en-US", ...rest });
    context.setDefaultTimeout(120_000);
    const page = await context.newPage();
    const visitor = new Visitor(context, page, url);
    await page.exposeFunction("__violated", (what: string) => visitor.#wrong.push(`policy: ${what}`));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
        void (window as unknown as { __violated(what: string): void }).__violated(`${effectiveDirective} ${blockedURI}`);
      });
    });
    await page.goto(url + at + (key === "" ? "" : `#key=${key}`));
    return visitor;
  }

  /** What axe finds wrong. */
  async axe(): Promise<string[]> {
    await this.page.evaluate(AXE);
    return this.page.evaluate(async () => {
      const { axe } = window as unknown as { axe: typeof import("axe-core") };
      const { violations } = await axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
      return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary ?? ""}`));
    });
  }

  async leave(): Promise<void> {
    await this.context.close();
    expect(this.#wrong).toEqual([]);
  }
}
