// The examples of the README of convex-audit-log, and of our own, with the package's name changed, a missing import and a
// missing `await` added, and what they leave out left out: they compile, and do what they say. They are read where they
// are installed, written down as modules of an application, and compiled by TypeScript, strictly; then they are run.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { convexTest } from "convex-test";
import { getFunctionName, type FunctionReference } from "convex/server";
import { Window } from "happy-dom";
import { createElement, type FunctionComponent } from "react";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { register } from "../../src/test.js";

const HERE = import.meta.dirname;
const WRITTEN = join(HERE, "written");

function blocks(readme: string): string[] {
  return [...readFileSync(readme, "utf8").matchAll(/```tsx?\n(.*?)```/gs)].map(([, text]) =>
    text!.replaceAll("convex-audit-log", "sealog-convex"),
  );
}

const theirs = blocks(join(HERE, "../../node_modules/convex-audit-log/README.md"));
const ours = blocks(join(HERE, "../../README.md"));

function write(name: string, text: string): void {
  const path = join(WRITTEN, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Examples that are no modules of their own, each as a function that answers what it has found. */
function functions(examples: string[]): string {
  const bodies = examples.map((text, at) => {
    const names = [...text.matchAll(/^(?:const|let) (\w+) =/gm)].map(([, name]) => name);
    // Where they leave something out, there is something to leave out.
    const whole = text.replace(/, \.\.\. \}/g, " }").replace(/^import .*$/gm, "");
    return `export const example${at} = async ({ ctx, auditLog, userId, docId, startOfMonth, endOfMonth }: Given) => {\n${whole}\nreturn { ${names.join(", ")} };\n};`;
  });
  return `import { AuditActions, type AuditLog } from "sealog-convex";
import type { ActionCtx } from "./_generated/server";
interface Given { ctx: ActionCtx; auditLog: AuditLog; userId: string; docId: string; startOfMonth: number; endOfMonth: number }
void AuditActions;
${bodies.join("\n")}
`;
}

/** The example of a test with something where it says that a test goes. */
function used(example: string): string {
  const place = "// Test your audit log functionality";
  expect(example).toContain(place);
  return example
    .replace(
      place,
      `await auditLog.log(ctx, { action: "user.login", actorId: "ada", severity: "info" });
    expect(await auditLog.queryByActor(ctx, { actorId: "ada" })).toMatchObject([{ action: "user.login", severity: "info" }]);`,
    )
    .replace('{ test } from "vitest"', '{ expect, test } from "vitest"')
    .replace(/^/, 'import { auditLog } from "./auditLog";\n');
}

beforeAll(() => {
  rmSync(WRITTEN, { recursive: true, force: true });
  write("convex/convex.config.ts", theirs[0]!);
  write("convex/auditLog.ts", theirs[1]!);
  // Two mistakes of theirs, which no component could mend: a missing import, and a missing `await`.
  write(
    "convex/users.ts",
    `import { v } from "convex/values";\n${theirs[2]!.replace("ctx.auth.getUserIdentity()?.subject", "(await ctx.auth.getUserIdentity())?.subject")}`,
  );
  write("convex/documents.ts", `import { v } from "convex/values";\n${theirs[3]}`);
  write("convex/examples.ts", functions([...theirs.slice(4, 15), theirs[16]!]));
  // A page of theirs is of a module that shows it.
  write("src/history.tsx", `${theirs[15]}\nexport { DocumentHistory };\n`);
  write(
    "convex/audit.ts",
    `import type { Auth } from "convex/server";\n${theirs[17]}\nasync function getAuthUserId(ctx: { auth: Auth }) { return (await ctx.auth.getUserIdentity())?.subject ?? null; }\n`,
  );
  write("convex/theirs.test.ts", theirs[18]!);
  write("convex/used.test.ts", used(theirs[18]!));
  for (const [at, text] of ours.entries()) {
    const [, name = `ours${at}.ts`] = /^\/\/ (\S+\.tsx?)\n/.exec(text) ?? [];
    write(name.endsWith("migrate.ts") ? `migrating/${name}` : `ours/${name}`, text);
  }
  for (const root of ["", "ours/", "migrating/"]) {
    write(
      `${root}convex/schema.ts`,
      `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ users: defineTable({ name: v.string(), email: v.string() }), notes: defineTable({ title: v.string() }) });
`,
    );
    write(
      `${root}convex/_generated/server.ts`,
      `import { actionGeneric, internalActionGeneric, mutationGeneric, queryGeneric, type ActionBuilder, type DataModelFromSchemaDefinition, type GenericActionCtx, type MutationBuilder, type QueryBuilder } from "convex/server";
import type schema from "../schema";
type DataModel = DataModelFromSchemaDefinition<typeof schema>;
export const mutation: MutationBuilder<DataModel, "public"> = mutationGeneric;
export const query: QueryBuilder<DataModel, "public"> = queryGeneric;
export const action: ActionBuilder<DataModel, "public"> = actionGeneric;
export const internalAction: ActionBuilder<DataModel, "internal"> = internalActionGeneric;
export type ActionCtx = GenericActionCtx<DataModel>;
`,
    );
  }
  const api = (
    modules: string[],
    components: string,
  ) => `import { anyApi, componentsGeneric, type ApiFromModules } from "convex/server";
${modules.map((name) => `import type * as ${name} from "../${name}";`).join("\n")}
export const api: ApiFromModules<{ ${modules.map((name) => `${name}: typeof ${name}`).join("; ")} }> = anyApi as any;
export const components = componentsGeneric() as unknown as { ${components} };
`;
  const component = (name: string) => `${name}: import("sealog-convex/_generated/component.js").ComponentApi<"${name}">`;
  // The page uses what is exposed to browsers.
  write(
    "convex/_generated/api.ts",
    api(["users", "documents"], component("auditLog"))
      .replace("export const api", 'import type * as audit from "../audit";\nexport const api')
      .replace("{ users:", "{ auditLog: typeof audit; users:"),
  );
  write("ours/convex/_generated/api.ts", api(["audit", "history", "notes"], component("auditLog")));
  // Both are installed while the history is copied.
  write(
    "migrating/convex/_generated/api.ts",
    api([], `auditLog: import("convex-audit-log/_generated/component.js").ComponentApi<"auditLog">; ${component("audit")}`),
  );
  write(
    "migrating/convex/audit.ts",
    'import { AuditLog } from "sealog-convex";\nimport { components } from "./_generated/api";\nexport const auditLog = new AuditLog(components.audit);\n',
  );
  write(
    "tsconfig.json",
    JSON.stringify({
      extends: "../../../tsconfig.json",
      compilerOptions: {
        module: "ESNext",
        moduleResolution: "bundler",
        noUnusedLocals: false,
        noUnusedParameters: false,
        verbatimModuleSyntax: false,
        noImplicitOverride: false,
      },
      include: ["."],
      exclude: [],
    }),
  );
});

afterAll(() => rmSync(WRITTEN, { recursive: true, force: true }));

test("they compile", () => {
  const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  let said = "";
  try {
    execFileSync(process.execPath, [tsc, "-p", join(WRITTEN, "tsconfig.json")], { encoding: "utf8" });
  } catch (error) {
    said = (error as { stdout: string }).stdout;
  }
  expect(said).toBe("");
});

/** An application made of what is written. */
async function application() {
  const load = (name: string) => import(/* @vite-ignore */ join(WRITTEN, "convex", `${name}.ts`));
  const [schema, users, documents, audit, { auditLog }, examples, { components }] = await Promise.all(
    ["schema", "users", "documents", "audit", "auditLog", "examples", "_generated/api"].map(load),
  );
  // What is exposed stands in the README as another part of `auditLog.ts`, and the page asks it there.
  const modules = { users, documents, audit, auditLog: audit };
  const t = convexTest(schema.default, {
    "./convex/_generated/api.ts": async () => ({}),
    ...Object.fromEntries(Object.entries(modules).map(([name, module]) => [`./convex/${name}.ts`, async () => module])),
  });
  register(t);
  const given = { auditLog, userId: "u-1", docId: "d-1", startOfMonth: 0, endOfMonth: Date.now() + 1_000 };
  const run = (at: number) => t.mutation((ctx) => examples[`example${at}`]({ ctx, ...given })) as Promise<any>;
  const inside = <T>(handler: (ctx: any) => Promise<T>) => t.mutation((ctx) => handler(ctx)) as Promise<T>;
  return { t, run, inside, auditLog, components };
}

test("what is logged is what the examples log", async () => {
  const { run, inside, auditLog } = await application();
  await run(0); // log
  await run(1); // logChange
  await run(2); // logBulk
  await run(11); // AuditActions
  const { items } = await inside<any>((ctx) => auditLog.search(ctx, { filters: {}, pagination: { limit: 10 } }));
  expect(items.map(({ action }: any) => action).sort()).toEqual([
    "document.created",
    "document.updated",
    "notification.sent",
    "user.login",
    "user.login",
  ]);
  expect(items.find(({ tags }: any) => tags)).toMatchObject({
    actorId: "u-1",
    metadata: { method: "password" },
    tags: ["authentication"],
  });
  expect(items.find(({ diff }: any) => diff)).toMatchObject({ resourceId: "d-1", diff: '~ title: "Old Title" → "New Title"' });
});

test("what is asked is answered as the examples say", async () => {
  const { run, inside, auditLog } = await application();
  const DAY = 24 * 60 * 60_000;
  await inside((ctx) =>
    auditLog.logBulk(ctx, [
      { action: "document.updated", actorId: "u-1", resourceType: "documents", resourceId: "d-1", severity: "info" },
      {
        action: "document.updated",
        actorId: "u-1",
        resourceType: "documents",
        resourceId: "d-1",
        severity: "info",
        timestamp: Date.now() - 8 * DAY,
      },
      { action: "user.login", actorId: "u-1", severity: "info" },
      { action: "other", actorId: "u-1", severity: "critical", timestamp: Date.now() - 95 * DAY },
      { action: "other", actorId: "u-1", severity: "info", timestamp: Date.now() - 95 * DAY },
      ...Array.from({ length: 5 }, () => ({ action: "user.login.failed", severity: "warning", tags: ["security"] })),
    ]),
  );
  expect((await run(3)).history).toHaveLength(1);
  expect((await run(4)).activity).toMatchObject([{ action: "user.login" }]);
  expect((await run(5)).results).toMatchObject({ items: Array(5).fill({ action: "user.login.failed" }), hasMore: false });
  expect((await run(6)).criticalEvents).toMatchObject([{ severity: "critical" }]);
  expect((await run(7)).stats).toMatchObject({ totalCount: 7, bySeverity: { info: 2, warning: 5 } });
  expect((await run(8)).anomalies).toMatchObject([{ action: "user.login.failed", count: 5, threshold: 5 }]);
  const { report } = await run(9);
  expect(report).toMatchObject({ format: "csv", recordCount: 10, truncated: false });
  expect(report.data.split("\r\n")[0]).toBe("action,groupCount,timestamp,actorId,resourceType");
  expect((await run(10)).deletedCount).toBe(1);
});

test("the functions of the quick start and of the exposed API work", async () => {
  const { t, inside, auditLog } = await application();
  const userId = await inside((ctx) => ctx.db.insert("users", { name: "Ada", email: "ada@example.com" }));
  const ada = t.withIdentity({ subject: "ada" });
  const { anyApi } = await import("convex/server");
  await ada.mutation(anyApi.users!.updateUserProfile as any, { userId, name: "Eve", email: "eve@example.com" });
  const events = await t.query(anyApi.audit!.queryByResource as any, { resourceType: "users", resourceId: userId });
  expect(events).toMatchObject([
    { action: "user.profile.updated", actorId: "ada", before: { name: "Ada", email: "[REDACTED]" }, after: { name: "Eve" } },
  ]);
  expect(events[0].diff).toBe('~ name: "Ada" → "Eve"\n~ email: "[REDACTED]" → "[REDACTED]"');
  expect(await t.query(anyApi.documents!.getUserActivity as any, { userId: "ada" })).toEqual(events);
  const of = (resourceId: string) => ({ resourceType: "documents", resourceId });
  const bulk = [
    ...Array.from({ length: 60 }, (_, at) => ({ action: `document.${at}`, severity: "info", ...of("d-1") })),
    { action: "document.deleted", severity: "warning", ...of("d-2") },
    { action: "access.denied", severity: "critical", actorId: "eve" },
  ];
  await inside((ctx) => auditLog.logBulk(ctx, bulk));
  const asked = async (name: string, args = {}, api = "documents"): Promise<string[]> =>
    (await t.query(anyApi[api]![name] as any, args)).map(({ action }: any) => action);
  // The newest first, and as many as it asks for.
  expect(await asked("getDocumentHistory", { documentId: "d-1" })).toEqual(
    Array.from({ length: 50 }, (_, at) => `document.${59 - at}`),
  );
  expect(await asked("watchSecurityEvents")).toEqual(["access.denied", "document.deleted"]);
  expect(await asked("queryByResource", of("d-2"), "audit")).toEqual(["document.deleted"]);
  expect(await asked("queryByActor", { actorId: "eve" }, "audit")).toEqual(["access.denied"]);
  expect(await asked("watchCritical", {}, "audit")).toEqual(["access.denied"]);
  expect(await t.query(anyApi.audit!.getStats as any, {})).toMatchObject({ totalCount: 63 });
});

test("our own examples do what they say", async () => {
  const load = (name: string) => import(/* @vite-ignore */ join(WRITTEN, "ours/convex", `${name}.ts`));
  const names = ["audit", "notes", "history"];
  const modules = await Promise.all(names.map(async (name) => [`./convex/${name}.ts`, await load(name)] as const));
  const t = convexTest((await load("schema")).default, {
    "./convex/_generated/api.ts": async () => ({}),
    ...Object.fromEntries(modules.map(([path, module]) => [path, async () => module])),
  });
  register(t);
  const { anyApi } = await import("convex/server");
  const noteId = await t.run((ctx) => ctx.db.insert("notes", { title: "Plan" } as never));
  const ada = t.withIdentity({ subject: "ada" });
  await ada.mutation(anyApi.notes!.rename as any, { noteId, title: "A better plan" });
  expect(await ada.query(anyApi.audit!.queryByResource as any, { resourceType: "notes", resourceId: noteId })).toMatchObject([
    { action: "record.updated", actorId: "ada", diff: '~ title: "Plan" → "A better plan"' },
  ]);
  const client = clientOf((query, args) => ada.query(query, args));
  const { History } = await import(/* @vite-ignore */ join(WRITTEN, "ours/src/history.tsx"));
  const { place, close } = await drawn<{ noteId: string }>(History, { noteId }, client);
  await vi.waitFor(() => expect(place.querySelector("li")?.textContent).toMatch(/^record\.updated by ada, /));
  expect(place.querySelector("pre")!.textContent).toBe('~ title: "Plan" → "A better plan"');
  await close();
  await expect(t.query(anyApi.audit!.getStats as any, {})).rejects.toThrow("Unauthorized");
  await expect(t.action(anyApi.history!.search as any, { filters: {}, pagination: { limit: 1 } })).rejects.toThrow(
    "Unauthorized",
  );
});

test("our example of a migration copies the history", async () => {
  const { default: old } = await import("convex-audit-log/test");
  const load = (name: string) => import(/* @vite-ignore */ join(WRITTEN, "migrating/convex", `${name}.ts`));
  const [migrate, { auditLog }, { components }] = await Promise.all(["migrate", "audit", "_generated/api"].map(load));
  const t = convexTest((await load("schema")).default, {
    "./convex/_generated/api.ts": async () => ({}),
    "./convex/migrate.ts": async () => migrate,
  });
  old.register(t as any, "auditLog");
  register(t, "audit");
  await t.mutation((ctx) => (ctx as any).runMutation(components.auditLog.lib.log, { action: "user.login", severity: "info" }));
  const { anyApi } = await import("convex/server");
  expect(await t.action(anyApi.migrate!.all as any, {})).toMatchObject({ copied: 1, isDone: true });
  const { items }: any = await t.mutation((ctx) => auditLog.search(ctx, { filters: {}, pagination: { limit: 10 } }));
  expect(items).toMatchObject([{ action: "user.login", id: expect.stringMatching(/^convex-audit-log:/) }]);
});

/** Runs the test files of a folder, as whoever has written them would. */
function passed(root: string, files: string[]): object {
  const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
  const component = join(HERE, "../..");
  write(
    "vitest.config.ts",
    `import { join } from "node:path";
const src = (path: string) => join(${JSON.stringify(component)}, "src", path);
export default {
  root: ${JSON.stringify(root)},
  test: {
    environment: "edge-runtime",
    include: ${JSON.stringify(files)},
    server: { deps: { inline: ["convex-test"] } },
    alias: { "sealog-convex/test": src("test.ts"), "sealog-convex": src("client/index.ts") },
  },
};
`,
  );
  const { stdout } = spawnSync(
    process.execPath,
    [vitest, "run", "--config", join(WRITTEN, "vitest.config.ts"), "--reporter=json"],
    {
      cwd: component,
      encoding: "utf8",
    },
  );
  const { numPassedTests, numTotalTests, testResults } = JSON.parse(stdout.slice(stdout.indexOf("{"))) as Record<string, any>;
  const failures = testResults.flatMap(({ message, assertionResults }: any) => [
    ...(message ? [message] : []),
    ...assertionResults.flatMap(({ failureMessages }: any) => failureMessages),
  ]);
  return { numPassedTests, numTotalTests, failures };
}

test("our example of a test passes", () => {
  expect(passed(join(WRITTEN, "ours"), ["convex/notes.test.ts"])).toEqual({ numPassedTests: 1, numTotalTests: 1, failures: [] });
});

test("their testing setup works, as it stands and with a test in it", () => {
  // It says nothing of where functions are: `convex-test` looks for them beside the `node_modules` that it is in.
  const installed = "node_modules/convex-test";
  cpSync(join(HERE, "../..", installed), join(WRITTEN, installed), { recursive: true });
  const files = ["convex/theirs.test.ts", "convex/used.test.ts"];
  expect(passed(WRITTEN, files)).toEqual({ numPassedTests: 2, numTotalTests: 2, failures: [] });
});

/** What stands in for the client of Convex: `again` asks all that is watched once more, as Convex does after a mutation. */
function clientOf(ask: (query: FunctionReference<"query">, args: object) => Promise<unknown>) {
  class Watched {
    value: unknown;
    readonly told = new Set<() => void>();
    constructor(readonly question: Parameters<typeof ask>) {}
    async again() {
      this.value = await ask(...this.question);
      this.told.forEach((listener) => listener());
    }
  }
  const watched = new Map<string, Watched>();
  return {
    watchQuery(query: FunctionReference<"query">, args: object) {
      const key = `${getFunctionName(query)} ${JSON.stringify(args)}`;
      const known = watched.get(key);
      const one = known ?? new Watched([query, args]);
      if (!known) {
        watched.set(key, one);
        void one.again();
      }
      return {
        onUpdate: (listener: () => void) => (one.told.add(listener), () => one.told.delete(listener)),
        localQueryResult: () => one.value,
        journal: () => undefined,
      };
    },
    again: () => Promise.all([...watched.values()].map((one) => one.again())),
  };
}

/** Draws a component in a window of its own. */
async function drawn<Props extends object>(component: FunctionComponent<Props>, props: Props, client: object) {
  const window = new Window();
  vi.stubGlobal("window", window);
  vi.stubGlobal("document", window.document);
  vi.stubGlobal("navigator", window.navigator);
  const { createRoot } = await import("react-dom/client");
  const { ConvexProvider } = await import("convex/react");
  const place = window.document.createElement("div");
  window.document.body.append(place);
  const root = createRoot(place as unknown as Element);
  root.render(createElement(ConvexProvider, { client: client as never }, createElement(component, props)));
  return {
    place,
    close: async () => {
      root.unmount();
      await window.happyDOM.close();
      vi.unstubAllGlobals();
    },
  };
}

test("their page shows a history, and what comes while it is looked at", async () => {
  const { t, inside, auditLog } = await application();
  const changed = (action: string, resourceId = "d-1") => ({
    action,
    severity: "critical",
    resourceType: "documents",
    resourceId,
  });
  await inside((ctx) =>
    auditLog.logBulk(ctx, [
      changed("document.created"),
      changed("other.document", "d-2"),
      { ...changed("other.type"), resourceType: "notes" },
    ]),
  );
  let answer = () => {};
  const mayAnswer = new Promise<void>((resolve) => (answer = resolve));
  const client = clientOf((query, args) => mayAnswer.then(() => t.query(query, args)));
  const { DocumentHistory } = await import(/* @vite-ignore */ join(WRITTEN, "src/history.tsx"));
  const { place, close } = await drawn<{ documentId: string }>(DocumentHistory, { documentId: "d-1" }, client);
  const actions = () => [...place.querySelectorAll("li strong")].map((action) => action.textContent);
  await vi.waitFor(() => expect(place.textContent).toBe("Loading..."));
  answer();
  await vi.waitFor(() => expect(actions()).toEqual(["document.created"]));
  const { formatTimestamp, getSeverityColor } = await import("../../src/react/index.js");
  const [event] = await inside<any[]>((ctx) => auditLog.queryByResource(ctx, { resourceType: "documents", resourceId: "d-1" }));
  expect(place.querySelector("li span")!.textContent).toBe(formatTimestamp(event!.timestamp));
  expect((place.querySelector("li") as any).style.borderLeftColor).toBe(getSeverityColor("critical"));
  // The newest first, and as many as it asks for.
  await inside((ctx) =>
    auditLog.logBulk(
      ctx,
      Array.from({ length: 20 }, (_, at) => changed(`document.updated.${at}`)),
    ),
  );
  await client.again();
  await vi.waitFor(() => expect(actions()).toEqual(Array.from({ length: 20 }, (_, at) => `document.updated.${19 - at}`)));
  await close();
});

test("the component is installed by its configuration", async () => {
  // What the Convex command line adds when it bundles.
  const { default: component } = (await import("../../src/component/convex.config.js")) as any;
  component.componentDefinitionPath = "node_modules/sealog-convex/dist/component";
  const { default: config } = await import(/* @vite-ignore */ join(WRITTEN, "convex/convex.config.ts"));
  expect(component._name).toBe("auditLog");
  expect(config.export().childComponents).toMatchObject([{ path: component.componentDefinitionPath }]);
});
