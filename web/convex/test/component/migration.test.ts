// From an installed convex-audit-log, the real one.
import oldComponent from "convex-audit-log/test";
import { AuditLog as OldAuditLog } from "convex-audit-log";
import { componentsGeneric } from "convex/server";
import { afterEach, expect, test, vi } from "vitest";
import { app } from "../app.js";

const old = (componentsGeneric() as any).oldAuditLog;

afterEach(() => void vi.useRealTimers());

test("all events are copied, once, also those of one moment, and hidden what was not", async () => {
  const { t, log, run, act } = app({ piiFields: ["dateOfBirth"] });
  oldComponent.register(t as any, "oldAuditLog");
  // The old one does not hide a field with a capital letter.
  const before = new OldAuditLog(old, { piiFields: ["dateOfBirth"] });
  for (let round = 0; round < 3; round++) {
    await run((ctx) =>
      before.logBulk(
        ctx,
        Array.from({ length: 25 }, (_, at) => ({
          action: `thing.${at % 3}`,
          actorId: `u-${round}`,
          severity: "info" as const,
          metadata: { n: BigInt(at), dateOfBirth: "1815-12-10" },
          tags: ["old"],
        })),
      ),
    );
  }
  const change = await run((ctx) =>
    before.logChange(ctx, {
      action: "user.updated",
      resourceType: "users",
      resourceId: "u-1",
      before: { dateOfBirth: "1815-12-10", plan: "free" },
      after: { dateOfBirth: "1815-12-11", plan: "team" },
      generateDiff: true,
    }),
  );
  // In steps smaller than a moment has events.
  const first = await act((ctx) => log.migrateFrom(ctx, old, { batchSize: 10 }));
  expect(first).toMatchObject({ copied: 76, isDone: true });
  const { items } = await run((ctx) => log.search(ctx, { filters: {}, pagination: { limit: 1_000 } }));
  expect(items.length).toBe(76);
  expect(JSON.stringify(items)).not.toContain("1815");
  const copied = items.find(({ id }) => id === `convex-audit-log:${change}`)!;
  const original = await run((ctx) => before.get(ctx, change));
  expect(copied).toMatchObject({ action: "user.updated", resourceId: "u-1", timestamp: original.timestamp, severity: "info" });
  expect(copied.diff).toBe('~ plan: "free" → "team"\n~ dateOfBirth: "[REDACTED]" → "[REDACTED]"');
  expect((await run((ctx) => log.getStats(ctx))).totalCount).toBe(76);
  // What came meanwhile is copied by the next call, and nothing twice.
  await run((ctx) => before.log(ctx, { action: "late", severity: "critical" }));
  await act((ctx) => log.migrateFrom(ctx, old, { cursor: first.cursor }));
  await act((ctx) => log.migrateFrom(ctx, old));
  expect((await run((ctx) => log.getStats(ctx))).totalCount).toBe(77);
  expect((await run((ctx) => log.watchCritical(ctx))).map(({ action }) => action)).toEqual(["late"]);
});

test("a call whose time is over says where it was, and the next one goes on there", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { t, log, run, act } = app();
  oldComponent.register(t as any, "oldAuditLog");
  const before = new OldAuditLog(old);
  const start = Date.now() - 60_000;
  // More of one moment than a batch has, in the midst of others.
  for (const [at, count] of [1, 1, 1, 1, 23, 1, 1, 1, 1, 1].entries()) {
    vi.setSystemTime(start + at * 1_000);
    const event = { action: `${at}`, severity: "info" as const };
    await run((ctx) => before.logBulk(ctx, Array(count).fill(event)));
  }
  const calls: { copied: number; cursor: number; isDone: boolean }[] = [];
  do {
    const cursor = calls.at(-1)?.cursor;
    calls.push(await act((ctx) => log.migrateFrom(ctx, old, { batchSize: 3, maxMs: -1, ...(cursor === undefined ? {} : { cursor }) })));
    expect(calls.at(-1)!.cursor).toBeGreaterThan(cursor ?? 0);
  } while (!calls.at(-1)!.isDone && calls.length < 50);
  expect(calls.length).toBeGreaterThan(3);
  // Of what was copied before, a call looks at the last moment alone.
  expect(calls[0]!.copied).toBe(3);
  expect(calls.at(-1)!.copied).toBeLessThanOrEqual(3);
  const { items } = await run((ctx) => log.search(ctx, { filters: {}, pagination: { limit: 100 } }));
  expect(items.map(({ timestamp }) => (timestamp - start) / 1_000)).toEqual([9, 8, 7, 6, 5, ...Array(23).fill(4), 3, 2, 1, 0]);
});
