// Ten thousand events through every question, beside a plain list.
import { beforeAll, describe, expect, test } from "vitest";
import type { AuditLogEntry, QueryFilters, Severity } from "../../src/client/index.js";
import { app, inside } from "../app.js";

const COUNT = 10_000;
const BULK = 500;
const SEVERITIES: Severity[] = ["info", "info", "info", "info", "info", "warning", "warning", "error", "critical"];
const MINUTE = 60_000;
// So that spans of each length are whole in between.
const START = Math.floor(Date.now() / 86_400_000) * 86_400_000 - 2 * 86_400_000 + 17_003;

const { log, run } = app();
/** What was logged, the newest first: made of what went in and the ids that came back, by no query. */
let plain: Plain[];
type Plain = Omit<AuditLogEntry, "_creationTime">;

/** A fixed sequence of numbers from 0 to 1. */
function chance(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

beforeAll(async () => {
  const next = chance(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() ** 2 * list.length)]!;
  const names = (prefix: string, count: number) => Array.from({ length: count }, (_, at) => `${prefix}${at}`);
  const [actors, actions, types, tags] = [names("actor-", 60), names("thing.done.", 20), names("type-", 5), names("tag-", 8)];
  let timestamp = START;
  const events = Array.from({ length: COUNT }, () => {
    // Many share a moment, some come late, and now and then hours pass.
    timestamp += next() < 0.3 ? 0 : Math.floor(next() * 2_000);
    timestamp += next() < 0.002 ? 70 * MINUTE : 0;
    return {
      action: pick(actions),
      severity: SEVERITIES[Math.floor(next() * SEVERITIES.length)]!,
      timestamp: timestamp - (next() < 0.01 ? 5 * MINUTE : 0),
      ...(next() < 0.9 ? { actorId: pick(actors) } : {}),
      ...(next() < 0.7 ? { resourceType: pick(types), resourceId: String(Math.floor(next() * 40)) } : {}),
      ...(next() < 0.3 ? { tags: [pick(tags), pick(tags)] } : {}),
      ...(next() < 0.5 ? { sessionId: `s-${Math.floor(next() * 9)}` } : {}),
    };
  });
  plain = [];
  for (let at = 0; at < COUNT; at += BULK) {
    const bulk = events.slice(at, at + BULK);
    const logged = await run((ctx) => log.logBulk(ctx, bulk));
    plain.push(...bulk.map((event, index) => ({ ...event, _id: logged[index]! })));
  }
  // Of one moment the last that was logged comes first.
  plain.reverse().sort((a, b) => b.timestamp - a.timestamp);
}, 120_000);

async function pages(filters: QueryFilters, limit: number): Promise<AuditLogEntry[]> {
  const found: AuditLogEntry[] = [];
  for (let cursor: string | null = null; ;) {
    const page = await run((ctx) => log.search(ctx, { filters, pagination: { limit, cursor } }));
    found.push(...page.items);
    expect(page.complete).toBe(true);
    expect(page.hasMore).toBe(page.cursor !== null);
    cursor = page.cursor;
    if (cursor === null) {
      return found;
    }
  }
}

const ids = (events: readonly Pick<AuditLogEntry, "_id">[]) => events.map(({ _id }) => _id);
const at = (share: number) => plain[Math.floor(plain.length * share)]!.timestamp;

test("by resource", async () => {
  for (const [resourceType, resourceId, limit, fromTimestamp] of [
    ["type-0", "3", 10, undefined],
    ["type-1", "7", 500, at(0.5)],
    ["type-9", "1", 5, 0],
  ] as const) {
    const args = { resourceType, resourceId, limit, ...(fromTimestamp === undefined ? {} : { fromTimestamp }) };
    const expected = plain.filter(
      (event) =>
        event.resourceType === resourceType && event.resourceId === resourceId && event.timestamp >= (fromTimestamp ?? 0),
    );
    expect(ids(await run((ctx) => log.queryByResource(ctx, args)))).toEqual(ids(expected.slice(0, limit)));
  }
});

test("by actor, with actions before the limit", async () => {
  for (const [actorId, actions, limit, fromTimestamp] of [
    ["actor-0", undefined, undefined, undefined],
    ["actor-1", ["thing.done.19", "thing.done.17"], 20, undefined],
    ["actor-0", ["thing.done.3"], 1_000, at(0.7)],
  ] as const) {
    const args = {
      actorId,
      ...(actions ? { actions: [...actions] } : {}),
      ...(limit ? { limit } : {}),
      ...(fromTimestamp ? { fromTimestamp } : {}),
    };
    const isIn = (action: string) => !actions || (actions as readonly string[]).includes(action);
    const expected = plain.filter(
      (event) => event.actorId === actorId && isIn(event.action) && event.timestamp >= (fromTimestamp ?? 0),
    );
    expect(ids(await run((ctx) => log.queryByActor(ctx, args)))).toEqual(ids(expected.slice(0, limit ?? 50)));
  }
});

test("by severity, action, and what is critical", async () => {
  const severity: Severity[] = ["error", "warning", "error"];
  const some = plain.filter((event) => severity.includes(event.severity) && event.timestamp >= at(0.4));
  expect(ids(await run((ctx) => log.queryBySeverity(ctx, { severity, limit: 300, fromTimestamp: at(0.4) })))).toEqual(
    ids(some.slice(0, 300)),
  );
  const done = plain.filter((event) => event.action === "thing.done.5");
  expect(ids(await run((ctx) => log.queryByAction(ctx, { action: "thing.done.5", limit: 77 })))).toEqual(ids(done.slice(0, 77)));
  const urgent = plain.filter((event) => event.severity === "error" || event.severity === "critical");
  expect(ids(await run((ctx) => log.watchCritical(ctx)))).toEqual(ids(urgent.slice(0, 20)));
  expect(await run((ctx) => log.queryBySeverity(ctx, { severity: [] }))).toHaveLength(0);
});

describe("search reaches everything, with any filter and page", () => {
  const filters: [string, () => QueryFilters, number][] = [
    ["all", () => ({}), 4_500],
    ["a range, with both ends", () => ({ fromTimestamp: at(0.8), toTimestamp: at(0.3) }), 1_900],
    ["severity and action", () => ({ severity: ["critical", "error"], actions: ["thing.done.0", "thing.done.1"] }), 130],
    ["actors, to a time", () => ({ actorIds: ["actor-3", "actor-9", "actor-3"], toTimestamp: at(0.5) }), 37],
    ["actor and actions", () => ({ actorIds: ["actor-0", "actor-1"], actions: ["thing.done.2", "thing.done.8"] }), 60],
    ["types and severity", () => ({ resourceTypes: ["type-4"], severity: ["warning"] }), 30],
    ["tags, any of them", () => ({ tags: ["tag-7", "tag-6"] }), 150],
    ["nothing", () => ({ actions: ["never.done"] }), 10],
    ["empty lists are no conditions", () => ({ actions: [], severity: [], tags: [], resourceTypes: ["type-3"] }), 400],
  ];
  for (const [name, filter, limit] of filters) {
    test(name, async () => {
      const asked = filter();
      const isIn = (list: readonly string[] | undefined, value: string | undefined) =>
        !list?.length || (value !== undefined && list.includes(value));
      const expected = plain.filter(
        (event) =>
          isIn(asked.severity, event.severity) &&
          isIn(asked.actions, event.action) &&
          isIn(asked.actorIds, event.actorId) &&
          isIn(asked.resourceTypes, event.resourceType) &&
          (!asked.tags?.length || asked.tags.some((tag) => event.tags?.includes(tag))) &&
          event.timestamp >= (asked.fromTimestamp ?? 0) &&
          event.timestamp <= (asked.toTimestamp ?? Infinity),
      );
      expect(ids(await pages(asked, limit))).toEqual(ids(expected));
    });
  }
});

test("single events, as they were logged", async () => {
  for (const event of plain.filter((_, index) => index % 500 === 0)) {
    expect(await run((ctx) => log.get(ctx, event._id))).toEqual({ ...event, _creationTime: expect.any(Number) });
  }
});

test("anomalies, alone and counted apart", async () => {
  const action = "thing.done.1";
  // The window begins in the midst of what was logged.
  const windowMinutes = Math.ceil((Date.now() - at(0.6)) / MINUTE);
  const patterns = [
    { action, threshold: 1, windowMinutes },
    { action, threshold: 3, windowMinutes, groupBy: "actor" as const },
    { action, threshold: 2, windowMinutes, groupBy: "session" as const, filter: { severity: ["error" as const, "warning" as const] } },
  ];
  const found = await run((ctx) => log.detectAnomalies(ctx, patterns));
  const from = found[0]!.detectedAt - windowMinutes * MINUTE;
  const inside = plain.filter((event) => event.action === action && event.timestamp >= from);
  const groups = (events: Plain[], field: "actorId" | "sessionId", threshold: number) => {
    const values = [...new Set(events.flatMap((event) => event[field] ?? []))].sort();
    return values
      .map((group) => ({ group, count: events.filter((event) => event[field] === group).length }))
      .filter(({ count }) => count >= threshold);
  };
  const serious = inside.filter(({ severity }) => severity === "error" || severity === "warning");
  const told = (threshold: number) =>
    found
      .filter((anomaly) => anomaly.threshold === threshold)
      .map(({ group, count }) => ({ group, count }))
      .sort((a, b) => (a.group! < b.group! ? -1 : 1));
  expect(inside.length).toBeGreaterThan(100);
  expect(inside.length).toBeLessThan(plain.filter((event) => event.action === action).length);
  expect(told(1)).toEqual([{ group: undefined, count: inside.length }]);
  expect(told(3)).toEqual(groups(inside, "actorId", 3));
  expect(told(2)).toEqual(groups(serious, "sessionId", 2));
  expect(told(2).length).toBeGreaterThan(3);
});

test("each question reads by index what it answers, and no more", async () => {
  const limit = 5;
  const one = { pagination: { limit } };
  /** A question, and how many ranges of an index it reads beside each other: the first event of each must be known. */
  const questions: [ask: (ctx: Parameters<typeof log.getStats>[0]) => Promise<unknown>, ranges: number][] = [
    [(ctx) => log.queryByResource(ctx, { resourceType: "type-1", resourceId: "7", limit }), 1],
    [(ctx) => log.queryByActor(ctx, { actorId: "actor-3", limit }), 1],
    [(ctx) => log.queryByActor(ctx, { actorId: "actor-59", actions: ["thing.done.0", "thing.done.1"], limit }), 2],
    [(ctx) => log.queryBySeverity(ctx, { severity: ["critical", "error"], limit }), 2],
    [(ctx) => log.queryByAction(ctx, { action: "thing.done.19", limit }), 1],
    [(ctx) => log.watchCritical(ctx, { limit }), 2],
    [(ctx) => log.search(ctx, { filters: {}, ...one }), 1],
    [(ctx) => log.search(ctx, { filters: { toTimestamp: at(0.5) }, ...one }), 1],
    [(ctx) => log.search(ctx, { filters: { actorIds: ["actor-58", "actor-59"] }, ...one }), 2],
    [(ctx) => log.search(ctx, { filters: { actions: ["thing.done.19"], toTimestamp: at(0.5) }, ...one }), 1],
    [(ctx) => log.search(ctx, { filters: { resourceTypes: ["type-4"] }, ...one }), 1],
    [(ctx) => log.search(ctx, { filters: { severity: ["critical"] }, ...one }), 1],
    [(ctx) => log.search(ctx, { filters: { actions: ["never.done"], severity: ["info"] }, ...one }), 1],
    [(ctx) => log.generateReport(ctx, { startDate: at(0.5), endDate: at(0.1), format: "csv", maxRecords: limit }), 1],
  ];
  for (const [ask, ranges] of questions) {
    const read = await run(async (ctx) => {
      await ask(ctx);
      return (await ctx.meta.getTransactionMetrics()).documentsRead.used;
    });
    // One more than is wanted is looked for, and one document says what has left.
    expect(read, String(ask)).toBeLessThanOrEqual(limit + 1 + ranges + 1);
  }
});

test("statistics are exact over any range", async () => {
  const next = chance(99);
  const ranges = Array.from({ length: 8 }, () => {
    const [a, b] = [at(next()), at(next())];
    return [Math.min(a, b) + Math.floor(next() * 3), Math.max(a, b) - Math.floor(next() * 3)] as const;
  });
  for (const [from, to] of [[0, Number.MAX_SAFE_INTEGER - 1], [at(0.5), at(0.5)], ...ranges] as const) {
    const inside = plain.filter(({ timestamp }) => timestamp >= from && timestamp <= to);
    const top = (values: (string | undefined)[]) => {
      const counts = new Map<string, number>();
      values.forEach((value) => value !== undefined && counts.set(value, (counts.get(value) ?? 0) + 1));
      return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 10);
    };
    const of = (severity: Severity) => inside.filter((event) => event.severity === severity).length;
    const stats = await run((ctx) => log.getStats(ctx, { fromTimestamp: from, toTimestamp: to }));
    expect(stats).toEqual({
      totalCount: inside.length,
      bySeverity: { info: of("info"), warning: of("warning"), error: of("error"), critical: of("critical") },
      topActions: top(inside.map(({ action }) => action)).map(([action, count]) => ({ action, count })),
      topActors: top(inside.map(({ actorId }) => actorId)).map(([actorId, count]) => ({ actorId, count })),
      complete: true,
    });
  }
});

test("reports come in pages without an end", async () => {
  const range = { startDate: at(0.9), endDate: at(0.1) };
  const inside = plain.filter(({ timestamp }) => timestamp >= range.startDate && timestamp <= range.endDate).reverse();
  const read = async (args: { format: "csv" | "json"; groupBy?: string }, maxRecords: number) => {
    const texts: string[] = [];
    await run(async (ctx) => {
      for await (const page of log.reportPages(ctx, {
        ...range,
        ...args,
        maxRecords,
        includeFields: ["_id", "timestamp", "tags.0"],
      })) {
        texts.push(page.data);
        expect(page.truncated).toBe(page.cursor !== null);
      }
    });
    return texts;
  };
  const rows = (await read({ format: "json" }, 3_000)).flatMap((text) => JSON.parse(text) as object[]);
  expect(rows).toEqual(inside.map(({ _id, timestamp, tags }) => ({ _id, timestamp, ...(tags ? { "tags.0": tags[0] } : {}) })));
  const table = (await read({ format: "csv" }, 4_000)).join("");
  expect(table).toBe(
    ["_id,timestamp,tags.0", ...inside.map(({ _id, timestamp, tags }) => `${_id},${timestamp},${tags?.[0] ?? ""}`), ""].join(
      "\r\n",
    ),
  );
  const groups = (await read({ format: "json", groupBy: "severity" }, 5_000)).map(
    (text) => JSON.parse(text) as Record<string, { _id: string }[]>,
  );
  const errors = groups.flatMap((page) => page.error ?? []).map(({ _id }) => _id);
  expect(errors).toEqual(ids(inside.filter(({ severity }) => severity === "error")));
});

test("the last page says whether anything below it has left", async () => {
  const { t, log, run } = app();
  const now = Date.now();
  const ids = await run((ctx) => log.logBulk(ctx, Array.from({ length: 20 }, (_, at) => ({ action: "a", timestamp: now - at }))));
  await inside(t, (ctx) => ctx.db.insert("coverage", { since: now - 1_000 }));
  const search = (limit: number, filters: QueryFilters = {}, cursor: string | null = null) =>
    run((ctx) => log.search(ctx, { filters, pagination: { limit, cursor } }));
  for (const limit of [20, 21]) {
    expect(await search(limit)).toMatchObject({ hasMore: false, cursor: null, complete: false });
    expect(await search(limit, { fromTimestamp: now - 1_000 })).toMatchObject({ hasMore: false, complete: true });
    expect(await search(limit, { fromTimestamp: now - 1_001 })).toMatchObject({ complete: false });
  }
  const first = await search(10);
  expect(first).toMatchObject({ hasMore: true, complete: true });
  expect(await search(10, {}, first.cursor)).toMatchObject({ hasMore: false, complete: false });
  // A list asks for no more than it gets.
  const listed = await run(async (ctx) => (await log.queryByAction(ctx, { action: "a", limit: 20 })).complete);
  expect([ids.length, listed]).toEqual([20, true]);
});
