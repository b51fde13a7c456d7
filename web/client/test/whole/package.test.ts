// The package as others get it: packed, checked, installed into an empty project, and used from there.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Rollup } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../contract.js";

const PACKAGE = join(ROOT, "web/client");
const folder = mkdtempSync(join(tmpdir(), "sealog-package-"));
const project = join(folder, "project");

function run(program: string, args: string[], cwd = PACKAGE): string {
  return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

const bin = (name: string) => join(PACKAGE, "node_modules/.bin", name);

/** What a page gets that imports this, without React. */
async function bundle(entry: string): Promise<string> {
  const file = join(project, "entry.js");
  writeFileSync(file, entry);
  const built = await build({
    root: project,
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      modulePreload: false,
      rollupOptions: { input: file, preserveEntrySignatures: "strict", external: [/^react/] },
    },
  });
  const { output } = built as Rollup.RollupOutput;
  return output.map((part) => (part.type === "chunk" ? part.code : "")).join("");
}

beforeAll(() => {
  run("npm", ["run", "build", "--silent"]);
  const [{ filename }] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", folder])) as [{ filename: string }];
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{"name": "app", "private": true, "type": "module"}');
  run("npm", ["install", "--no-audit", "--no-fund", "--offline", join(folder, filename)], project);
  // What an application has besides; it is here already.
  mkdirSync(join(project, "node_modules/@types"), { recursive: true });
  for (const name of ["react", "react-dom", "scheduler", "csstype", "@types/react", "@types/react-dom"]) {
    symlinkSync(join(PACKAGE, "node_modules", name), join(project, "node_modules", name));
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("it has what it exports, and no dependency", () => {
  const { dependencies } = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8")) as { dependencies?: unknown };
  expect(dependencies).toBeUndefined();
  const installed = readdirSync(join(project, "node_modules/sealog"));
  expect(installed.sort()).toEqual(["LICENSE", "README.md", "SPEC.md", "dist", "package.json"]);
  run(process.execPath, [bin("publint"), "--strict"]);
  run(process.execPath, [bin("attw"), "--pack", ".", "--profile", "esm-only", "--exclude-entrypoints", "./react/style.css"]);
});

test("the types hold, in strict mode and with their own files checked", () => {
  run(process.execPath, [bin("tsc"), "-p", "tsconfig.json"]);
  writeFileSync(
    join(project, "use.tsx"),
    `import { AuditLog, verifyProof, type AuditLogEntry } from "sealog";
     import { AuditLogViewer, createAuditLogApi, useAuditLogByResource } from "sealog/react";
     import { recordingLog } from "sealog/test";
     export const log: AuditLog = recordingLog();
     export const api = createAuditLogApi({ url: "/audit" });
     export const proof: Promise<{ seq: number }> = verifyProof("", "");
     export function Page() {
       const history: AuditLogEntry[] | undefined = useAuditLogByResource(api.queryByResource, { resourceType: "a", resourceId: "b" });
       return <AuditLogViewer api={api} pageSize={history?.length ?? 5} />;
     }`,
  );
  for (const resolution of ["bundler", "nodenext"]) {
    const options = ["--module", resolution === "bundler" ? "esnext" : "nodenext", "--moduleResolution", resolution];
    const rest = ["--noEmit", "--strict", "--target", "es2022", "--jsx", "react-jsx", "--types", "react", "--lib", "es2022,dom,dom.iterable"];
    run(process.execPath, [bin("tsc"), ...options, ...rest, "use.tsx"], project);
  }
});

test("Node runs it", () => {
  writeFileSync(
    join(project, "use.js"),
    `import { AuditActions, AuditLog, SealogError } from "sealog";
     import { recordingLog } from "sealog/test";
     import { useAuditLogByResource } from "sealog/react";
     const log = recordingLog();
     await log.log({ action: AuditActions.USER_LOGIN });
     const away = new AuditLog({ url: "http://127.0.0.1:9", retry: { maxAttempts: 1 } });
     const error = await away.log({ action: "a" }).catch((error) => error);
     console.log(log.events.length, error instanceof SealogError, error.code, typeof useAuditLogByResource);`,
  );
  expect(run(process.execPath, ["use.js"], project)).toBe("1 true network function\n");
});

test("Vite builds a page of it, with the stylesheet", async () => {
  writeFileSync(join(project, "index.html"), '<div id="root"></div><script type="module" src="/page.tsx"></script>');
  writeFileSync(
    join(project, "page.tsx"),
    `import { createRoot } from "react-dom/client";
     import { AuditLogViewer, createAuditLogApi } from "sealog/react";
     import "sealog/react/style.css";
     const api = createAuditLogApi({ url: "/audit" });
     createRoot(document.getElementById("root")!).render(<AuditLogViewer api={api} />);`,
  );
  await build({ root: project, configFile: false, logLevel: "error", esbuild: { jsx: "automatic" } } as never);
  const assets = readdirSync(join(project, "dist/assets"));
  const styles = assets.find((name) => name.endsWith(".css"))!;
  expect(readFileSync(join(project, "dist/assets", styles), "utf8")).toContain(".sealog-events");
  const script = readFileSync(join(project, "dist/assets", assets.find((name) => name.endsWith(".js"))!), "utf8");
  expect(script).toContain("sealog-viewer");
  // What a page does not use is not in it.
  expect(script).not.toContain("Ed25519");
});

test("it is small", async () => {
  const hooks =
    "createAuditLogApi, formatTimestamp, getSeverityClass, getSeverityColor, useAnomalyDetection, useAuditLogByActor, " +
    "useAuditLogByResource, useAuditLogQuery, useAuditLogSearch, useAuditLogStats, useWatchCriticalEvents";
  const sizes = {
    // The proof's check and the diff are functions of their own: who does not use them does not get them.
    client: gzipSync(await bundle('export { AuditActions, AuditLog, SealogError } from "sealog";'), { level: 9 }).length,
    whole: gzipSync(await bundle('export * from "sealog";'), { level: 9 }).length,
    hooks: gzipSync(await bundle(`export { ${hooks} } from "sealog/react";`), { level: 9 }).length,
    react: gzipSync(await bundle('export * from "sealog/react";'), { level: 9 }).length,
  };
  console.log("gzipped bytes", sizes);
  expect(sizes.client).toBeGreaterThan(1_000);
  expect(sizes.client).toBeLessThanOrEqual(12 * 1024);
  expect(sizes.whole).toBeLessThanOrEqual(14 * 1024);
  expect(sizes.hooks).toBeGreaterThan(1_000);
  expect(sizes.hooks).toBeLessThanOrEqual(8 * 1024);
});
