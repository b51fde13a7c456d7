import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./contract.js";

let program: string | undefined;

/**
 * Which packages are built, and with what. `make test` names those that it has just tested, so that nothing is
 * compiled twice.
 */
const BUILD = (process.env.SEALOG_BUILD ?? "-p sealog-cli").split(" ");

/** The program, built from this repository. */
export function sealog(): string {
  if (program === undefined) {
    const args = ["build", ...BUILD, "--bin", "sealog", "--locked", "--message-format=json-render-diagnostics"];
    const out = execFileSync("cargo", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 28 });
    const artifacts = out.split("\n").filter((line) => line.includes('"executable":"'));
    program = artifacts.map((line) => (JSON.parse(line) as { executable: string }).executable).find((path) => /sealog(\.exe)?$/.test(path));
  }
  if (program === undefined) {
    throw new Error("cargo built no program named sealog");
  }
  return program;
}

/** `sealog serve` in a folder of its own, which can be killed and started again at the same address. */
export class RealServer {
  readonly folder = mkdtempSync(join(tmpdir(), "sealog-server-"));
  readonly log = join(this.folder, "audit.db");
  url = "";
  adminKey = "";
  #process: ChildProcess | undefined;

  static async start(...options: string[]): Promise<RealServer> {
    const server = new RealServer();
    await server.start(...options);
    server.adminKey = readFileSync(`${server.log}.admin-key`, "utf8").trim();
    return server;
  }

  async start(...options: string[]): Promise<void> {
    const listen = this.url === "" ? "127.0.0.1:0" : new URL(this.url).host;
    const args = ["serve", "--log", this.log, "--listen", listen, "--json", "--read-events", "false", "--log-level", "error", ...options];
    const started = spawn(sealog(), args, { stdio: ["ignore", "pipe", "pipe"], cwd: this.folder });
    let told = "";
    started.stderr!.on("data", (piece) => (told += String(piece)));
    this.#process = started;
    const lines = createInterface({ input: started.stdout! });
    const [line] = (await Promise.race([
      once(lines, "line"),
      once(started, "exit").then(([code]) => Promise.reject(new Error(`sealog serve ended with ${String(code)}: ${told}`))),
    ])) as [string];
    this.url = (JSON.parse(line) as { url: string }).url;
  }

  /** Ends it as a crash does. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running && running.exitCode === null && running.signalCode === null) {
      const ended = once(running, "exit");
      running.kill(signal);
      await ended;
    }
  }

  run(...args: string[]): string {
    return execFileSync(sealog(), [...args, "--log", this.log], { encoding: "utf8", cwd: this.folder });
  }

  async close(): Promise<void> {
    await this.kill("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What a line does to one request. */
export type LineFault =
  | "none"
  | "slow"
  | "silent"
  | "twice"
  | "reset before"
  | "reset after"
  | "cut"
  | "page"
  | "gateway"
  | "wrong json";

/** A proxy on loopback that does to each request what it is told. */
export class BadLine {
  faults: LineFault[] = [];
  url = "";
  readonly #server: Server;

  private constructor(target: () => string) {
    this.#server = createServer((request, response) => this.#pass(target(), request, response));
  }

  static async to(target: () => string): Promise<BadLine> {
    const line = new BadLine(target);
    line.#server.listen(0, "127.0.0.1");
    await once(line.#server, "listening");
    line.url = `http://127.0.0.1:${(line.#server.address() as AddressInfo).port}`;
    return line;
  }

  #pass(target: string, request: IncomingMessage, response: ServerResponse): void {
    const fault = this.faults.shift() ?? "none";
    if (fault === "reset before") {
      request.socket.destroy();
      return;
    }
    if (fault === "page" || fault === "gateway") {
      response.writeHead(fault === "page" ? 200 : 502, { "content-type": "text/html" }).end("<!doctype html><p>Hello");
      return;
    }
    const { hostname, port } = new URL(target);
    const headers = { ...request.headers, host: `${hostname}:${port}` };
    const options = { hostname, port, method: request.method, path: request.url, headers };
    if (fault === "twice") {
      void this.#passTwice(options, request, response);
      return;
    }
    const passed = httpRequest(options, (answer) => {
      const status = answer.statusCode ?? 500;
      if (fault === "slow" || fault === "none") {
        setTimeout(() => answer.pipe(response.writeHead(status, answer.headers)), fault === "slow" ? 150 : 0);
        return;
      }
      // The server did its part; what it says does not come, or not as it was said.
      answer.resume().on("end", () => {
        if (fault === "reset after") {
          request.socket.destroy();
        } else if (fault === "cut") {
          response.writeHead(status, { ...answer.headers, "content-length": "100000" }).write('{"line":1,"id":"');
          setTimeout(() => request.socket.destroy(), 10);
        } else if (fault === "wrong json") {
          response.writeHead(200, { "content-type": "application/json" }).end('{"receipts":[{"id":"somebody else\'s"}],"line":1}');
        }
      });
    });
    passed.on("error", () => request.socket.destroy());
    request.pipe(passed);
  }

  /** The server gets the request twice, and its second answer is the one that comes. */
  async #passTwice(options: RequestOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body: Buffer[] = [];
    for await (const chunk of request) {
      body.push(chunk as Buffer);
    }
    httpRequest(options, (first) => {
      first.resume().on("end", () => {
        httpRequest(options, (second) => second.pipe(response.writeHead(second.statusCode ?? 500, second.headers)))
          .on("error", () => request.socket.destroy())
          .end(Buffer.concat(body));
      });
    })
      .on("error", () => request.socket.destroy())
      .end(Buffer.concat(body));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
