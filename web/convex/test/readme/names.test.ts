// Whatever convex-audit-log 0.2.0 names is here under the same name, and tells the same of an event.
import { join } from "node:path";
import * as theirs from "convex-audit-log";
import * as theirHooks from "convex-audit-log/react";
import theirComponent from "convex-audit-log/test";
import { componentsGeneric } from "convex/server";
import ts from "typescript";
import { expect, test, vi } from "vitest";
import * as ours from "../../src/client/index.js";
import * as ourHooks from "../../src/react/index.js";
import { app } from "../app.js";

const ROOT = join(import.meta.dirname, "../..");
const INSTALLED = join(ROOT, "node_modules/convex-audit-log");

/** Their modules, and ours of the same name. */
const MODULES = {
  ".": ["dist/client/index.d.ts", "src/client/index.ts"],
  "./react": ["dist/react/index.d.ts", "src/react/index.ts"],
  "./test": ["src/test.ts", "src/test.ts"],
  "./convex.config.js": ["dist/component/convex.config.d.ts", "src/component/convex.config.ts"],
} as const;
/** What the README says is not there any more. */
const GONE = ["backfillAggregates"];

const files = Object.values(MODULES).map(([theirs, ours]) => [join(INSTALLED, theirs), join(ROOT, ours)] as const);
const program = ts.createProgram(files.flat(), {
  skipLibCheck: true,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
});
const checker = program.getTypeChecker();

function exportsOf(file: string): ts.Symbol[] {
  return checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)!)!);
}

/** The members of a type that anybody may use. */
function membersOf(symbol: ts.Symbol): string[] {
  const named = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  return checker
    .getDeclaredTypeOfSymbol(named)
    .getProperties()
    .filter(({ valueDeclaration }) => !valueDeclaration || !(ts.getCombinedModifierFlags(valueDeclaration) & ts.ModifierFlags.Private))
    .map(({ name }) => name);
}

test("every export is there, and every member of each type", () => {
  let compared = 0;
  for (const [theirFile, ourFile] of files) {
    const our = new Map(exportsOf(ourFile).map((symbol) => [symbol.name, symbol]));
    for (const symbol of exportsOf(theirFile)) {
      expect([...our.keys()]).toContain(symbol.name);
      const isObject = symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface);
      const members = isObject ? membersOf(symbol).filter((name) => !GONE.includes(name)) : [];
      expect(membersOf(our.get(symbol.name)!), symbol.name).toEqual(expect.arrayContaining(members));
      compared += 1 + members.length;
    }
  }
  expect(compared).toBeGreaterThan(100);
});

test("constants and formatters are theirs", () => {
  expect(ours.AuditActions).toMatchObject(theirs.AuditActions);
  expect(Object.keys(ourHooks)).toEqual(expect.arrayContaining(Object.keys(theirHooks)));
  for (const severity of ["info", "warning", "error", "critical", "another"] as ours.Severity[]) {
    expect(ourHooks.getSeverityClass(severity)).toBe(theirHooks.getSeverityClass(severity));
    expect(ourHooks.getSeverityColor(severity)).toMatch(/^#[0-9a-f]{6}$/);
  }
  expect(ourHooks.formatTimestamp(1_700_000_000_000)).toBe(theirHooks.formatTimestamp(1_700_000_000_000));
});

/** The names of all that is in an answer, with what they are of. */
function shapeOf(answer: unknown): unknown {
  if (Array.isArray(answer)) {
    return answer.slice(0, 1).map(shapeOf);
  }
  return typeof answer === "object" && answer !== null
    ? Object.fromEntries(Object.entries(answer).map(([name, value]) => [name, shapeOf(value)]))
    : typeof answer;
}

test("documents and answers have the shape of theirs", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { t, log, run } = app();
  theirComponent.register(t as any, "theirs");
  const before = new theirs.AuditLog((componentsGeneric() as any).theirs);
  const event = {
    action: "user.login",
    actorId: "ada",
    resourceType: "users",
    resourceId: "u-1",
    severity: "error" as const,
    ipAddress: "203.0.113.9",
    userAgent: "curl",
    sessionId: "s-1",
    tags: ["authentication"],
    retentionCategory: "legal",
  };
  const change = { ...event, action: "user.updated", before: { plan: "free" }, after: { plan: "team" }, generateDiff: true };
  const answers = (of: theirs.AuditLog) =>
    run(async (ctx) => {
      const context = ctx as never;
      const logged = await of.log(context, { ...event, metadata: { method: "password", tries: [1, 2] } });
      const changed = await of.logChange(context, change);
      const bulk = await of.logBulk(context, [event]);
      const range = { startDate: 0, endDate: Date.now(), includeFields: ["_id", "timestamp", "action"] };
      const settings = { defaultRetentionDays: 30, criticalRetentionDays: 60, piiFieldsToRedact: [], samplingEnabled: false, samplingRate: 1 };
      return {
        logged,
        bulk,
        event: await of.get(context, logged),
        change: await of.get(context, changed),
        queryByResource: await of.queryByResource(context, { resourceType: "users", resourceId: "u-1" }),
        queryByActor: await of.queryByActor(context, { actorId: "ada" }),
        queryBySeverity: await of.queryBySeverity(context, { severity: ["error"] }),
        queryByAction: await of.queryByAction(context, { action: "user.login" }),
        watchCritical: await of.watchCritical(context),
        search: await of.search(context, { filters: {}, pagination: { limit: 1 } }),
        getStats: await of.getStats(context, { fromTimestamp: 0 }),
        detectAnomalies: await of.detectAnomalies(context, [{ action: "user.login", threshold: 1, windowMinutes: 5 }]),
        json: await of.generateReport(context, { ...range, format: "json" }),
        rows: JSON.parse((await of.generateReport(context, { ...range, format: "json" })).data),
        groups: JSON.parse((await of.generateReport(context, { ...range, format: "json", groupBy: "action" })).data),
        cleanup: await of.cleanup(context, { olderThanDays: 1 }),
        updateConfig: await of.updateConfig(context, settings),
        getConfig: await of.getConfig(context),
      };
    });
  const there: any = await answers(before);
  const here: any = await answers(log as never);
  vi.useRealTimers();
  expect(shapeOf(here)).toMatchObject(shapeOf(there) as object);
  for (const name of ["event", "change"]) {
    const { _id: _, _creationTime: __, ...told } = there[name];
    const { _id: ___, _creationTime: ____, ...tells } = here[name];
    expect(tells).toEqual(told);
  }
});
