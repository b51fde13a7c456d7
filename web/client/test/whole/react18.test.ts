// The oldest React that the package takes: the same tests of hooks and parts, in a folder that has it.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ROOT } from "../contract.js";

const PACKAGE = join(ROOT, "web/client");
const folder = mkdtempSync(join(tmpdir(), "sealog-react-18-"));
const run = (program: string, args: string[]) => execFileSync(program, args, { cwd: folder, encoding: "utf8", stdio: "pipe" });

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("React 18", () => {
  writeFileSync(join(folder, "package.json"), '{"private": true, "type": "module"}');
  run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", "react@18.3.1", "react-dom@18.3.1"]);
  for (const name of ["vitest", "happy-dom"]) {
    symlinkSync(join(PACKAGE, "node_modules", name), join(folder, "node_modules", name));
  }
  for (const name of ["src", "test"]) {
    cpSync(join(PACKAGE, name), join(folder, name), { recursive: true });
  }
  expect(run(process.execPath, ["-p", "require('react-dom').version"])).toBe("18.3.1\n");
  run(process.execPath, [join(PACKAGE, "node_modules/vitest/vitest.mjs"), "run", "--root", folder, "test/unit/react.test.tsx"]);
});
