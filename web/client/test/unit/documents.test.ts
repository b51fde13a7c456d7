// What this package shares with the Rust side by text, and what its documents say.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AuditActions, DEFAULT_REDACTED_FIELDS } from "../../src/index.js";
import { guards } from "../../src/live/state.js";
import { ROOT } from "../contract.js";

const PACKAGE = join(ROOT, "web/client");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

test("the actions are those of the library", () => {
  const constants = [...read("crates/sealog/src/event.rs").matchAll(/pub const ([A-Z_]+): &str = "([^"]+)";/g)];
  expect(AuditActions).toEqual(Object.fromEntries(constants.map(([, name, action]) => [name, action])));
  expect(Object.keys(AuditActions)).toHaveLength(25);
});

test("the default names are those of the policy", () => {
  const section = read("docs/POLICY.md").split("## The default names")[1]!.split("\n## ")[0]!;
  expect([...DEFAULT_REDACTED_FIELDS]).toEqual([...section.matchAll(/`([^`]+)`/g)].map(([, name]) => name));
});

test("the types are those of the contract", () => {
  const cli = join(PACKAGE, "node_modules/openapi-typescript/bin/cli.js");
  const args = [cli, "../../contract/openapi.json", "--default-non-nullable=false", "-o", "src/generated/openapi.ts", "--check"];
  // It fails where `npm run generate` would change them.
  execFileSync(process.execPath, args, { cwd: PACKAGE, stdio: "pipe" });
});

test("each invariant of SPEC.md has a test that names it, and each way its guard", () => {
  const spec = read("web/client/SPEC.md");
  const invariants = [...spec.split("## Invariants")[1]!.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
  const tests = [...read("web/client/test/unit/live-state.test.ts").matchAll(/test\("invariant (\d+): /g)].map(([, number]) => Number(number));
  expect(tests).toEqual(invariants);
  const ways = [...spec.split("## Ways to the network")[1]!.split("\n## ")[0]!.matchAll(/^\| `(\w+)` \|/gm)].map(([, way]) => way);
  expect(ways).toEqual(Object.keys(guards));
});

test("only one function asks for a connection", () => {
  const source = read("web/client/src/live/state.ts");
  expect(source.match(/\{ type: "connect", /g)).toHaveLength(1);
});

test("what the README shows of a page is what the example does", () => {
  const [, shown] = /```tsx\n([^]*?)```/.exec(read("README.md"))!;
  expect(read("examples/notes/page/src/history.tsx")).toBe(shown);
});

test("the lock file names no registry", () => {
  for (const path of ["web/client/package-lock.json", "web/dashboard/package-lock.json", "examples/notes/page/package-lock.json"]) {
    expect(read(path)).not.toMatch(/"resolved": "https?:(?!\/\/registry\.npmjs\.org\/)/);
  }
});
