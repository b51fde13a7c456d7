// The client where servers run it: the built package, in each runtime, against the program that users run.
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { EdgeVM } from "@edge-runtime/vm";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../contract.js";
import { RealServer } from "../server.js";

const PACKAGE = join(ROOT, "web/client");
const project = mkdtempSync(join(tmpdir(), "sealog-runtimes-"));
const bin = (name: string) => join(PACKAGE, "node_modules/.bin", name);

/** What each of them does: writes, asks, watches, and checks a proof. */
const USE = `import { AuditLog, verifyProof } from "sealog";
export async function use(url, apiKey, vkey, actorId) {
  const log = new AuditLog({ url, apiKey, piiFields: ["email"] });
  const { id, seq } = await log.logWithReceipt({ action: "user.login", actorId, metadata: { email: "ada@example.com" } });
  await log.logBulk([1, 2, 3].map((n) => ({ action: "bulk", actorId, metadata: { n } })));
  const found = await log.search({ filters: { actorIds: [actorId] } });
  const end = new AbortController();
  const watched = [];
  for await (const { action } of log.watch({ actorIds: [actorId] }, { afterSeq: seq - 1, signal: end.signal })) {
    if (watched.push(action) === 4) {
      end.abort();
    }
  }
  const shown = await verifyProof(await log.getProof(id), vkey);
  await log.close();
  return JSON.stringify({ found: found.items.map(({ action }) => action), watched, email: shown.event.metadata.email });
}`;

let server: RealServer;
let vkey: string;

beforeAll(async () => {
  execFileSync("npm", ["run", "build", "--silent"], { cwd: PACKAGE });
  mkdirSync(join(project, "node_modules"));
  symlinkSync(PACKAGE, join(project, "node_modules/sealog"));
  writeFileSync(join(project, "package.json"), '{"name": "app", "private": true, "type": "module"}');
  writeFileSync(join(project, "use.js"), USE);
  writeFileSync(
    join(project, "run.js"),
    `import process from "node:process";
     import { use } from "./use.js";
     console.log(await use(...process.argv.slice(2)));`,
  );
  server = await RealServer.start();
  vkey = server.run("key", "show").trim();
});

afterAll(async () => {
  await server?.close();
  rmSync(project, { recursive: true, force: true });
});

const EXPECTED = {
  found: ["bulk", "bulk", "bulk", "user.login"],
  watched: ["user.login", "bulk", "bulk", "bulk"],
  email: "[REDACTED]",
};

test.each([
  ["node", process.execPath, []],
  ["bun", bin("bun"), ["run"]],
  ["deno", bin("deno"), ["run", "--no-remote", "--no-prompt", "--allow-net=127.0.0.1"]],
])("%s", async (name, program, options) => {
  const args = [...options, "run.js", server.url, server.adminKey, vkey, name];
  const { stdout } = await promisify(execFile)(program, args, { cwd: project });
  expect(JSON.parse(stdout)).toEqual(EXPECTED);
});

test("an edge runtime", async () => {
  const built = join(project, "built");
  await build({
    root: project,
    configFile: false,
    logLevel: "error",
    build: { outDir: built, minify: false, lib: { entry: join(project, "use.js"), formats: ["iife"], name: "app", fileName: "use" } },
  });
  const vm = new EdgeVM({ initialCode: readFileSync(join(built, "use.iife.js"), "utf8").replace(/^var app/m, "globalThis.app") });
  const args = [server.url, server.adminKey, vkey, "edge"].map((arg) => JSON.stringify(arg));
  expect(JSON.parse(await vm.evaluate<Promise<string>>(`app.use(${args.join(", ")})`))).toEqual(EXPECTED);
});
