// What Convex would end: each transaction here reads and writes as much as it may, and the work goes on nevertheless.
import { getDocumentSize } from "convex/values";
import { makeFunctionReference } from "convex/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { waiting } from "../../src/component/forwarding.js";
import { startEviction } from "../../src/component/retention.js";
import { app, inside } from "../app.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  delete process.env.SEALOG_URL;
});

type App = ReturnType<typeof app>;

/** All documents of a table, in as many transactions as it takes. */
async function table(t: App["t"], name: string): Promise<any[]> {
  const found: any[] = [];
  for (let cursor: string | null = null; ;) {
    const page: any = await inside(t, (ctx) => ctx.db.query(name).paginate({ numItems: 50, cursor }));
    found.push(...page.page);
    cursor = page.continueCursor;
    if (page.isDone) {
      return found;
    }
  }
}
const finish = (t: App["t"]) => t.finishAllScheduledFunctions(vi.runAllTimers);
const maintain = async (t: App["t"]) => {
  await inside(t, (ctx) => ctx.runMutation(makeFunctionReference<"mutation">("forwarding:maintain"), {}));
  await finish(t);
};
const changeAll = (t: App["t"], ids: string[], change: (at: number) => object) =>
  inside(t, async (ctx) => void (await Promise.all(ids.map((id, at) => ctx.db.patch(id, change(at))))));

/** Logs that many events with so much in each, in transactions that may. */
async function logLarge({ log, run }: App, count: number, bytes: number, event: (at: number) => object = () => ({})) {
  const ids: string[] = [];
  for (let at = 0; at < count; at++) {
    const metadata = Object.fromEntries(Array.from({ length: 4 }, (_, part) => [`part${part}`, "x".repeat(bytes / 4 / 4)]));
    const large = { action: "a", metadata, before: "x".repeat(bytes / 4), after: "y".repeat(bytes / 2), ...event(at) };
    ids.push(await run((ctx) => log.log(ctx, large)));
  }
  return ids;
}

test("a clean-up of large events ends", async () => {
  const it = app();
  await logLarge(it, 100, 200_000, (at) => ({ timestamp: Date.now() - 400 * DAY + at }));
  const gone = await it.run((ctx) => it.log.cleanup(ctx));
  expect(gone).toBeGreaterThan(0);
  expect(gone).toBeLessThan(100);
  await finish(it.t);
  expect(await table(it.t, "auditLogs")).toEqual([]);
  expect(await table(it.t, "counters")).toEqual([]);
});

test("large events leave for the server", async () => {
  const it = app();
  const ids = await logLarge(it, 100, 200_000, (at) => ({ timestamp: Date.now() - 60 * DAY + at }));
  await changeAll(it.t, ids.slice(0, 50), (seq) => ({ seq }));
  await changeAll(it.t, ids.slice(50), (at) => ({ seq: 50 + at }));
  await it.run((ctx) => it.log.updateConfig(ctx, { keepDays: 30 }));
  await inside(it.t, startEviction);
  await finish(it.t);
  expect(await table(it.t, "auditLogs")).toEqual([]);
});

test("a clean-up goes through all categories, however many there are", async () => {
  const { t, log, run } = app();
  for (let at = 0; at < 900; at += 300) {
    const events = Array.from({ length: 300 }, (_, index) => ({ action: "a", retentionCategory: `c-${1_000 + at + index}` }));
    await run((ctx) => log.logBulk(ctx, events));
  }
  const old = { action: "old", timestamp: Date.now() - 100 * DAY };
  await run((ctx) => log.logBulk(ctx, [old, { ...old, retentionCategory: "c-1899" }, { ...old, retentionCategory: "c-1500" }]));
  await run((ctx) => log.cleanup(ctx));
  await finish(t);
  expect(await table(t, "auditLogs")).toHaveLength(900);
  expect(await run((ctx) => log.queryByAction(ctx, { action: "old" }))).toHaveLength(0);
  // Where all is preserved there is nothing to do.
  const preserveSeverity = ["info", "warning", "error", "critical"] as const;
  expect(await run((ctx) => log.cleanup(ctx, { olderThanDays: 0, preserveSeverity: [...preserveSeverity] }))).toBe(0);
  await finish(t);
  expect(await table(t, "auditLogs")).toHaveLength(900);
});

test("a clean-up of events that lie far apart ends, also in the largest batches", async () => {
  const { t, log, run } = app();
  const start = Date.now() - 3_000 * DAY;
  for (let at = 0; at < 600; at += 300) {
    const events = Array.from({ length: 300 }, (_, index) => ({ action: "a", id: `${at + index}`, timestamp: start + (at + index) * DAY }));
    await run((ctx) => log.logBulk(ctx, events));
  }
  expect(await run((ctx) => log.cleanup(ctx, { olderThanDays: 1, batchSize: 100_000 }))).toBe(500);
  await finish(t);
  await maintain(t);
  for (const name of ["auditLogs", "ids", "counters"]) {
    expect(await table(t, name), name).toEqual([]);
  }
});

/** Full counters: each with other actors, but all of them count the same action. */
async function fillCounters(t: App["t"], start: number, hours: number) {
  for (let hour = 0; hour < hours; hour++) {
    for (let shard = 0; shard < 16; shard++) {
      await inside(t, async (ctx) => {
        for (let part = 0; part < 2; part++) {
          const actors = Array.from({ length: 600 }, (_, at) => ({ key: `actor-${hour}-${shard}-${part}-${at}`.padEnd(80, "x"), count: 1 }));
          const severities = { info: 600, warning: 0, error: 0, critical: 0 };
          const actions = [{ key: "a", count: 600 }];
          await ctx.db.insert("counters", { span: HOUR, start: start + hour * HOUR, shard, severities, actions, actors });
        }
      });
    }
  }
}

test("full counters are put together, as many at once as may be", async () => {
  const { t } = app();
  await fillCounters(t, Math.floor(Date.now() / DAY) * DAY - 10 * DAY, 10);
  await maintain(t);
  const counters = await table(t, "counters");
  expect(new Set(counters.map(({ shard }) => shard))).toEqual(new Set([-1]));
  expect(counters.reduce((sum, { severities }) => sum + severities.info, 0)).toBe(10 * 16 * 2 * 600);
  expect(new Set(counters.flatMap(({ actors }) => actors.map(({ key }: any) => key))).size).toBe(10 * 16 * 2 * 600);
  for (const counter of counters) {
    expect(getDocumentSize(counter)).toBeLessThan(128 * 1024);
  }
});

test("what goes out of very many counts is found in the end", async () => {
  const { t, log, run } = app();
  const start = Math.floor(Date.now() / DAY) * DAY - 10 * DAY;
  await fillCounters(t, start, 1);
  // Its actor is in the last of them.
  await run((ctx) => log.log(ctx, { action: "late", actorId: "zed", timestamp: start + MINUTE }));
  const stats = () => run((ctx) => log.getStats(ctx, { fromTimestamp: start, toTimestamp: start + HOUR - 1 }));
  const before = await stats();
  expect(before.totalCount).toBe(16 * 2 * 600 + 1);
  await maintain(t);
  expect(await stats()).toEqual(before);
  await run((ctx) => log.cleanup(ctx, { olderThanDays: 1 }));
  await finish(t);
  const after = await stats();
  expect(after).toEqual({ ...before, totalCount: 16 * 2 * 600, bySeverity: { ...before.bySeverity, info: 16 * 2 * 600 }, topActions: [{ action: "a", count: 16 * 2 * 600 }] });
  await maintain(t);
  expect(await stats()).toEqual(after);
});

test("one mutation counts more actors than a document may hold", async () => {
  const { t, log, run } = app();
  const events = Array.from({ length: 8_000 }, (_, at) => ({ action: "a", actorId: `u-${at}`.padEnd(110, "x") }));
  await run((ctx) => log.logBulk(ctx, events));
  const counters = await table(t, "counters");
  for (const counter of counters) {
    expect(getDocumentSize(counter)).toBeLessThan(128 * 1024);
  }
  expect(await run((ctx) => log.getStats(ctx))).toMatchObject({ totalCount: 8_000, topActions: [{ count: 8_000 }] });
});

test("what was refused is sent again as far as one transaction goes", async () => {
  const it = app();
  const ids = await logLarge(it, 30, 700_000);
  for (let at = 0; at < ids.length; at += 5) {
    await changeAll(it.t, ids.slice(at, at + 5), () => ({ refused: { code: "invalid_event", message: "no" } }));
  }
  process.env.SEALOG_URL = "http://127.0.0.1:9";
  const sent = await it.run((ctx) => it.log.forwardAgain(ctx));
  expect(sent).toBeGreaterThan(0);
  expect(sent).toBeLessThan(30);
});

test("what one commit sends again waits whole, also where it was made at one moment", async () => {
  const it = app();
  const ids: string[] = [];
  for (let at = 0; at < 5; at++) {
    ids.push(await it.run((ctx) => it.log.log(ctx, { action: `a-${at}` })));
  }
  await changeAll(it.t, ids, () => ({ refused: { code: "invalid_event", message: "no" } }));
  process.env.SEALOG_URL = "http://127.0.0.1:9";
  expect(await it.run((ctx) => it.log.forwardAgain(ctx))).toBe(5);
  const acknowledge = makeFunctionReference<"mutation">("forwarding:acknowledge");
  for (let seq = 0; seq < 5; seq++) {
    const next = await inside(it.t, async (ctx) => {
      // As if all of them were made at once, which no test can have them be.
      const query = (name: string) => (name === "auditLogs" ? atOnce(ctx.db.query(name)) : ctx.db.query(name));
      return (await waiting({ query } as never).next()).value;
    });
    expect(next?._id).toBe(ids[seq]);
    const [forwarder] = await table(it.t, "forwarder");
    await inside(it.t, (ctx) => ctx.runMutation(acknowledge, { run: forwarder.run, receipts: [{ id: ids[seq], seq, treeSize: seq + 1 }] }));
  }
  expect(await it.run((ctx) => it.log.forwardingStatus(ctx))).toMatchObject({ pending: 0, acknowledged: 5 });
});

/** A range in which no event is later than another one by creation. */
function atOnce(query: any): any {
  return {
    withIndex(name: string, range: (q: any) => any) {
      const fields: string[] = [];
      const noted: any = new Proxy({}, { get: () => (field: string) => (fields.push(field), noted) });
      range(noted);
      return fields.includes("_creationTime") ? (async function* () {})() : query.withIndex(name, range);
    },
  };
}

test("what sampling leaves out does not undo how far the server is", async () => {
  const it = app();
  const ids = await it.run((ctx) => it.log.logBulk(ctx, [{ action: "a" }, { action: "b" }]));
  process.env.SEALOG_URL = "http://127.0.0.1:9";
  await it.run((ctx) => it.log.forwardAgain(ctx));
  const acknowledge = async (receipt: object) => {
    const [forwarder] = await table(it.t, "forwarder");
    const args = { run: forwarder.run, receipts: [receipt] };
    await inside(it.t, (ctx) => ctx.runMutation(makeFunctionReference<"mutation">("forwarding:acknowledge"), args));
    return it.run((ctx) => it.log.forwardingStatus(ctx));
  };
  expect(await acknowledge({ id: ids[0], seq: 7, treeSize: 8 })).toMatchObject({ acknowledged: 1, lastSeq: 7, treeSize: 8 });
  expect(await acknowledge({ id: ids[1], sampled: true })).toMatchObject({ acknowledged: 2, lastSeq: 7, treeSize: 8 });
});

test("a search for many actors with large events comes to its end", async () => {
  const it = app();
  const actors = Array.from({ length: 24 }, (_, at) => `u-${at}`);
  const ids = await logLarge(it, 24, 900_000, (at) => ({ actorId: actors[at], timestamp: Date.now() - DAY + at }));
  for (const count of [12, 24]) {
    const found: string[] = [];
    for (let cursor: string | null = null; ;) {
      const filters = { actorIds: actors.slice(0, count) };
      const page: Awaited<ReturnType<typeof it.log.search>> = await it.run((ctx) =>
        it.log.search(ctx, { filters, pagination: { limit: 100, cursor } }),
      );
      found.push(...page.items.map(({ _id }) => _id));
      cursor = page.cursor;
      if (cursor === null) {
        break;
      }
    }
    expect(found).toEqual(ids.slice(0, count).reverse());
  }
});
