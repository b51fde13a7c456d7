// The application as people use it: two of them, each in a browser of their own.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

/** Which packages are built, and with what: see `make test`. */
const BUILD = (process.env.SEALOG_BUILD ?? "-p sealog-notes").split(" ");
const PAGE = join(import.meta.dirname, "..");
const data = mkdtempSync(join(tmpdir(), "sealog-notes-"));
let program: string;
let running: ChildProcess;
let url = "http://127.0.0.1:0";
let browser: Browser;

async function start(): Promise<void> {
  running = spawn(program, [data, join(PAGE, "dist"), new URL(url).host], { stdio: ["ignore", "pipe", "inherit"] });
  const told = once(createInterface({ input: running.stdout! }), "line") as Promise<[string]>;
  const ended = once(running, "exit").then(() => Promise.reject(new Error("the application ended")));
  ended.catch(() => undefined);
  [url] = await Promise.race([told, ended]);
}

async function kill(signal: NodeJS.Signals): Promise<void> {
  const ended = once(running, "exit");
  running.kill(signal);
  await ended;
}

beforeAll(async () => {
  const args = ["build", ...BUILD, "--bin", "sealog-notes", "--locked", "--message-format=json-render-diagnostics"];
  const out = execFileSync("cargo", args, { cwd: PAGE, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 28 });
  const artifacts = out.split("\n").filter((line) => line.includes('"executable":"'));
  const programs = artifacts.map((line) => (JSON.parse(line) as { executable: string }).executable);
  program = programs.find((path) => path.endsWith("/sealog-notes"))!;
  await start();
  const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  browser = await chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});

afterAll(async () => {
  await browser?.close();
  await kill("SIGINT");
  rmSync(data, { recursive: true, force: true });
});

/** Signs in, in a browser of one's own. */
async function signIn(user: string): Promise<{ page: Page; context: BrowserContext }> {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  await page.goto(url);
  await page.getByLabel("Your name").fill(user);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText(`Signed in as ${user}`).waitFor();
  return { page, context };
}

const history = (page: Page) => page.getByRole("list", { name: "History" }).locator("> li");

async function save(page: Page, title: string): Promise<void> {
  await page.getByLabel("Title", { exact: true }).fill(title);
  await page.getByRole("button", { name: "Save" }).click();
}

test("a change of one appears in the other's history, also after the application was killed", async () => {
  const ada = await signIn("ada");
  const eve = await signIn("eve");
  await ada.page.getByLabel("Title of a new note").fill("Plan");
  await ada.page.getByRole("button", { name: "New note" }).click();
  await history(ada.page).getByText("record.created").waitFor();

  await eve.page.reload();
  await eve.page.getByRole("button", { name: "Plan" }).click();
  await history(eve.page).getByText("record.created").waitFor();
  await save(ada.page, "A better plan");
  const told = history(eve.page).first();
  await told.getByText("record.updated").waitFor();
  expect(await told.innerText()).toContain("by ada");
  expect(await told.locator("del").innerText()).toBe('"Plan"');
  expect(await told.locator("ins").innerText()).toBe('"A better plan"');

  await kill("SIGKILL");
  await start();
  await save(ada.page, "The best plan");
  await history(eve.page).locator("ins", { hasText: "The best plan" }).waitFor();
  expect(await history(eve.page).count()).toBe(3);

  // A transaction that fails leaves no event: what comes after it comes next.
  await save(ada.page, "x".repeat(101));
  await ada.page.getByRole("alert").waitFor();
  await save(ada.page, "Done");
  await history(eve.page).locator("ins", { hasText: "Done" }).waitFor();
  expect(await history(eve.page).count()).toBe(4);
  expect(await history(ada.page).count()).toBe(4);
  const answer = await ada.context.request.get(`${url}/audit/v1/events?limit=100`);
  const { events } = (await answer.json()) as { events: { action: string; resourceType: string }[] };
  expect(events.map(({ action }) => action)).toEqual([...Array<string>(3).fill("record.updated"), "record.created"]);
  await Promise.all([ada.context.close(), eve.context.close()]);
});

test("the application's session opens the log, for reading what happened to notes and nothing else", async () => {
  const nobody = await browser.newContext();
  expect((await nobody.request.get(`${url}/audit/v1/events`)).status()).toBe(401);
  await nobody.close();
  const { context } = await signIn("mallory");
  const stats = (await (await context.request.get(`${url}/audit/v1/stats`)).json()) as { topActions: { value: string }[] };
  // That people signed in is in the log, and not theirs to see.
  expect(stats.topActions.map(({ value }) => value)).not.toContain("user.login");
  expect((await context.request.post(`${url}/audit/v1/events`, { data: { action: "user.login" } })).status()).toBe(403);
  expect((await context.request.get(`${url}/audit/v1/keys`)).status()).toBe(403);
  await context.close();
});

test("what does not work is said where it was asked for", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const errors: Error[] = [];
  page.on("pageerror", (error) => errors.push(error));
  await page.goto(url);
  await page.route("**/api/session", (route) => route.fulfill({ status: 500, body: "not today" }));
  await page.getByLabel("Your name").fill("grace");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("not today").waitFor();
  await page.unroute("**/api/session");
  await page.route("**/api/notes", (route) => route.fulfill({ status: 500, body: "no list today" }), { times: 1 });
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("no list today").waitFor();
  const title = page.getByLabel("Title of a new note");
  await title.fill("x".repeat(101));
  await page.getByRole("button", { name: "New note" }).click();
  await page.getByRole("navigation").getByRole("alert").getByText("1 to 100 characters").waitFor();
  await title.fill("Short");
  await page.getByRole("button", { name: "New note" }).click();
  await history(page).getByText("record.created").waitFor();
  expect(await page.getByRole("navigation").getByRole("alert").count()).toBe(0);
  expect(errors).toEqual([]);
  await context.close();
});
