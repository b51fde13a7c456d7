// What the compiler must accept, and must not. `tsc` checks this file; to run it shows nothing more.
import { expect, expectTypeOf, test } from "vitest";
import { AuditLog, type AuditLogEntry, type PaginatedResult, type Receipt, type Severity } from "../../src/index.js";
import {
  createAuditLogApi,
  useAnomalyDetection,
  useAuditLogByActor,
  useAuditLogByResource,
  useAuditLogQuery,
  useAuditLogStats,
  useWatchCriticalEvents,
} from "../../src/react/index.js";

test("types", () => {
  expect(typeof calls).toBe("function");
});

/** Calls as users of `convex-audit-log` write them, without the `ctx`. They are never made. */
async function calls(log: AuditLog, severity: Severity) {
  expectTypeOf(log.log({ action: "a", actorId: "u", severity, ipAddress: "", userAgent: "", sessionId: "", metadata: 1 as unknown })).toEqualTypeOf<Promise<string>>();
  expectTypeOf(log.logChange({ action: "a", resourceType: "r", resourceId: "1", before: {}, after: null, generateDiff: true, retentionCategory: "c" })).toEqualTypeOf<Promise<string>>();
  expectTypeOf(log.logBulk([{ action: "a", severity: "info", tags: ["t"] }])).toEqualTypeOf<Promise<string[]>>();
  expectTypeOf(log.logWithReceipt({ action: "a" })).toEqualTypeOf<Promise<Receipt>>();
  expectTypeOf(log.queryByResource({ resourceType: "r", resourceId: "1", limit: 5, fromTimestamp: 0 })).toEqualTypeOf<Promise<AuditLogEntry[]>>();
  expectTypeOf(log.search({ filters: { severity: ["info"], actions: [], tags: ["t"] }, pagination: { limit: 5 } })).toEqualTypeOf<Promise<PaginatedResult<AuditLogEntry>>>();
  expectTypeOf(log.get("id")).toEqualTypeOf<Promise<AuditLogEntry | null>>();
  const stats = await log.getStats({ fromTimestamp: 0 });
  expectTypeOf(stats.topActions).toEqualTypeOf<{ action: string; count: number }[]>();
  await log.detectAnomalies([{ action: "a", threshold: 5, windowMinutes: 5 }]);
  const report = await log.generateReport({ startDate: 0, endDate: 1, format: "csv", includeFields: ["timestamp"], groupBy: "action" });
  expectTypeOf(report.data).toBeString();
  expectTypeOf(report.recordCount).toBeNumber();

  const [entry] = await log.queryByActor({ actorId: "u", actions: ["a"] });
  expectTypeOf(entry!._id).toBeString();
  expectTypeOf(entry!._creationTime).toBeNumber();
  expectTypeOf(entry!.actorId).toEqualTypeOf<string | undefined>();
  expectTypeOf(entry!.diff).toEqualTypeOf<string | undefined>();

  for await (const told of log.watch({ actions: ["a"] }, { afterSeq: 5 })) {
    expectTypeOf(told).toEqualTypeOf<AuditLogEntry>();
  }

  // @ts-expect-error an event has an action
  await log.log({ actorId: "u" });
  // @ts-expect-error this is no severity
  await log.log({ action: "a", severity: "fatal" });
  // @ts-expect-error a change is of a resource
  await log.logChange({ action: "a", before: 1 });
  // @ts-expect-error there is no such field
  await log.log({ action: "a", actor: "u" });

  const api = createAuditLogApi({ url: "/audit", token: async () => "t" });
  expectTypeOf(useAuditLogByResource(api.queryByResource, { resourceType: "r", resourceId: "1", limit: 5 })).toEqualTypeOf<AuditLogEntry[] | undefined>();
  useAuditLogByActor(api.queryByActor, { actorId: "u" });
  useWatchCriticalEvents(api.watchCritical);
  useWatchCriticalEvents(api.watchCritical, { severity: ["warning"], limit: 5 });
  useAuditLogStats(api.getStats, { fromTimestamp: 0 });
  useAnomalyDetection(api.detectAnomalies, { patterns: [{ action: "a", threshold: 1, windowMinutes: 1 }] });
  expectTypeOf(useAuditLogQuery(api.queryByAction, { action: "a" }).data).toEqualTypeOf<AuditLogEntry[] | undefined>();
  // @ts-expect-error this reference is for another question
  useAuditLogByActor(api.queryByResource, { actorId: "u" });
}
