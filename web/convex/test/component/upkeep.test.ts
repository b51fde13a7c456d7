// Clean-ups, counters and anomalies.
import { makeFunctionReference } from "convex/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { countOut } from "../../src/component/counters.js";
import { store } from "../../src/component/events.js";
import { waiting } from "../../src/component/forwarding.js";
import { startEviction } from "../../src/component/retention.js";
import schema from "../../src/component/schema.js";
import { app, components, inside } from "../app.js";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  delete process.env.SEALOG_URL;
});

/** All documents of a table of the component. */
function table(t: unknown, name: keyof typeof schema.tables): Promise<any[]> {
  return inside(t, (ctx) => ctx.db.query(name).collect());
}

test("a clean-up ends, whatever there is, and leaves no counter behind", async () => {
  const { t, log, run } = app();
  const base = Date.now() - 400 * DAY;
  const categories = [undefined, "a", "b", "zz"];
  for (let round = 0; round < 6; round++) {
    const events = Array.from({ length: 100 }, (_, at) => ({
      action: `x.${at % 7}`,
      actorId: `u-${at % 11}`,
      severity: (["info", "warning", "error", "critical"] as const)[at % 4]!,
      timestamp: base + round * 13 * MINUTE + at * 997,
      id: `${round}-${at}`,
      ...(categories[at % 4 === 0 ? round % 4 : at % 3]
        ? { retentionCategory: categories[at % 4 === 0 ? round % 4 : at % 3]! }
        : {}),
    }));
    await run((ctx) => log.logBulk(ctx, events));
  }
  expect((await table(t, "counters")).length).toBeGreaterThan(0);
  expect(await run((ctx) => log.cleanup(ctx, { olderThanDays: 1, retentionCategory: "zz", batchSize: 7 }))).toBe(7);
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  const { items } = await run((ctx) => log.search(ctx, { filters: {}, pagination: { limit: 1_000 } }));
  expect(items.some(({ retentionCategory }) => retentionCategory === "zz")).toBe(false);
  expect(items.length).toBeGreaterThan(400);
  // What is left is counted.
  expect((await run((ctx) => log.getStats(ctx, { fromTimestamp: 0 }))).totalCount).toBe(items.length);
  await run((ctx) => log.cleanup(ctx, { olderThanDays: 1, batchSize: 50 }));
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  for (const name of ["auditLogs", "counters", "ids"] as const) {
    expect(await table(t, name), name).toEqual([]);
  }
  await expect(run((ctx) => log.cleanup(ctx, { batchSize: 0 }))).rejects.toThrow("batchSize");
});

test("days that are none are refused, and remove nothing", async () => {
  for (const days of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
    const { log, run } = app();
    await run((ctx) => log.log(ctx, { action: "a" }));
    await expect(run((ctx) => log.cleanup(ctx, { olderThanDays: days }))).rejects.toThrow("from 0 on");
    const settings = [
      { defaultRetentionDays: days },
      { criticalRetentionDays: days },
      { keepDays: days },
      { customRetention: [{ category: "debug", retentionDays: days }] },
    ];
    for (const setting of settings) {
      await expect(run((ctx) => log.updateConfig(ctx, setting))).rejects.toThrow("from 0 on");
    }
    for (const name of ["defaultRetentionDays", "criticalRetentionDays"]) {
      const defaults = { [name]: days };
      expect(() => app(defaults)).toThrow("from 0 on");
      await expect(run((ctx) => ctx.runMutation(components.auditLog.lib.cleanup, { defaults }))).rejects.toThrow("from 0 on");
    }
    expect(await run((ctx) => log.getStats(ctx))).toMatchObject({ totalCount: 1 });
  }
});

test("counters are spread, so that those who log at once write to different documents", async () => {
  const { t, log, run } = app();
  for (let at = 0; at < 64; at++) {
    await run((ctx) => log.log(ctx, { action: "a", actorId: "ada" }));
  }
  const counters = await table(t, "counters");
  for (const span of [MINUTE, 60 * MINUTE, DAY]) {
    const shards = counters.filter((counter) => counter.span === span);
    expect(new Set(shards.map(({ shard }) => shard)).size).toBeGreaterThan(4);
    expect(shards.reduce((sum, { severities }) => sum + severities.info, 0)).toBe(64);
  }
  // Nothing else is written that others write: no document of the forwarder, since there is no server.
  for (const name of ["forwarder", "progress", "config", "coverage"] as const) {
    expect(await table(t, name)).toEqual([]);
  }
});

/** What one transaction reads, as ranges by what is equal in them, and what it writes, as it was and as it is. */
async function touched(t: unknown, handler: (ctx: any) => Promise<unknown>) {
  const read: { table: string; equal: Record<string, unknown> }[] = [];
  const written: { table: string; document: Record<string, unknown> }[] = [];
  await inside(t, (ctx) => {
    const write = async (id: string, change?: object) => {
      const table = Object.keys(schema.tables).find((name) => ctx.db.normalizeId(name, id))!;
      const document = await ctx.db.get(id);
      written.push({ table, document }, { table, document: { ...document, ...change } });
    };
    const db = Object.create(ctx.db, {
      query: {
        value(table: string) {
          const range = { table, equal: {} as Record<string, unknown> };
          read.push(range);
          const noted: any = new Proxy(
            {},
            { get: (_, bound) => (field: string, value: unknown) => (bound === "eq" && (range.equal[field] = value), noted) },
          );
          const query = ctx.db.query(table);
          return {
            first: () => query.first(),
            withIndex: (name: string, bounds: (q: any) => any) => (bounds(noted), query.withIndex(name, bounds)),
          };
        },
      },
      insert: { value: (table: string, document: any) => (written.push({ table, document }), ctx.db.insert(table, document)) },
      patch: { value: async (id: string, change: object) => (await write(id, change), ctx.db.patch(id, change)) },
      delete: { value: async (id: string) => (await write(id), ctx.db.delete(id)) },
    });
    return handler(Object.create(ctx, { db: { value: db } }));
  });
  return { read, written };
}

type Touched = Awaited<ReturnType<typeof touched>>;

/** Whether Convex would try one of two again that are at work at once: the one reads where the other writes. */
function meet(one: Touched, other: Touched): boolean {
  const isIn = ({ read }: Touched, { written }: Touched) =>
    read.some(({ table, equal }) =>
      written.some((write) => write.table === table && Object.entries(equal).every(([field, value]) => write.document[field] === value)),
    );
  return isIn(one, other) || isIn(other, one);
}

test("mutations that log at once do not meet, but in one shard, or where a forwarder starts", async () => {
  const { t, log, run } = app();
  const shards = 16;
  const logs = (shard: number, id: string) => {
    const chance = vi.spyOn(Math, "random").mockReturnValue(shard / shards);
    const event = { action: "a", actorId: "ada", resourceType: "note", resourceId: "n-1", id };
    return touched(t, (ctx) => store(ctx, [event])).finally(() => chance.mockRestore());
  };
  await run((ctx) => log.updateConfig(ctx, { keepDays: 30 }));
  for (const isForwarding of [false, true]) {
    if (isForwarding) {
      process.env.SEALOG_URL = "http://127.0.0.1:9";
      await inside(t, (ctx) => ctx.db.insert("forwarder", { isRunning: true, run: 1 }));
    }
    // As they are where the shard has nothing yet, and where it has something.
    const all: Touched[] = [];
    for (let at = 0; at < 2 * shards; at++) {
      all.push(await logs(at % shards, `${isForwarding}-${at}`));
    }
    for (const [at, one] of all.entries()) {
      for (const [after, other] of all.slice(at + 1).entries()) {
        expect(meet(one, other), `${at} and ${at + 1 + after}`).toBe(at + 1 + after === at + shards);
      }
    }
  }
  await inside(t, async (ctx) => ctx.db.patch((await ctx.db.query("forwarder").first())._id, { isRunning: false }));
  expect(meet(await logs(0, "rests"), await logs(1, "runs"))).toBe(true);
});

test("what goes out of the counts is taken from those counters alone that have it", async () => {
  const { t, log, run } = app();
  for (let at = 0; at < 64; at++) {
    await run((ctx) => log.log(ctx, { action: "a", actorId: `u-${at}` }));
  }
  const before = await table(t, "counters");
  const [event] = await table(t, "auditLogs");
  const written: string[] = [];
  await inside(t, (ctx) => {
    const db = Object.create(ctx.db, {
      query: { value: (name: string) => ctx.db.query(name) },
      patch: { value: (id: string, change: object) => written.push(id) && ctx.db.patch(id, change) },
      delete: { value: (id: string) => written.push(id) && ctx.db.delete(id) },
    });
    return countOut(db, [event]);
  });
  // In each span the severity and the action are taken from one of them, and the actor perhaps from another one.
  expect(before.length).toBeGreaterThan(12);
  expect(written.length).toBeLessThanOrEqual(6);
  const left = await table(t, "counters");
  for (const span of [MINUTE, 60 * MINUTE, DAY]) {
    const infos = left.filter((counter) => counter.span === span).map(({ severities }) => severities.info);
    expect(infos.reduce((sum, count) => sum + count, 0)).toBe(63);
  }
});

test("one eviction is at work at a time, however often it is started", async () => {
  const { t, log, run } = app();
  const old = Array.from({ length: 250 }, (_, at) => ({ action: "a", timestamp: Date.now() - 60 * DAY + at }));
  const ids = await run((ctx) => log.logBulk(ctx, old));
  await inside(t, async (ctx) => void (await Promise.all(ids.map((id, seq) => ctx.db.patch(id, { seq })))));
  await run((ctx) => log.updateConfig(ctx, { keepDays: 30 }));
  const evictions = () =>
    inside(t, async (ctx) =>
      (await ctx.db.system.query("_scheduled_functions").collect()).filter(({ name }: any) => name.includes("evict")),
    );
  for (let round = 0; round < 5; round++) {
    await inside(t, startEviction);
  }
  expect(await evictions()).toHaveLength(1);
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect(await table(t, "auditLogs")).toEqual([]);
  expect(await evictions()).toHaveLength(3);
  // And another one, once there is something again.
  const [id] = await run((ctx) => log.logBulk(ctx, old.slice(0, 1)));
  await inside(t, (ctx) => ctx.db.patch(id, { seq: 1_000 }));
  await inside(t, startEviction);
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect(await table(t, "auditLogs")).toEqual([]);
});

test("what the server does not have stays, however old it is", async () => {
  const { t, log, run } = app();
  const timestamp = Date.now() - 60 * DAY;
  const actions = ["acknowledged", "left out by its sampling", "refused", "waits"];
  const ids = await run((ctx) => log.logBulk(ctx, [...actions.map((action) => ({ action, timestamp })), { action: "young" }]));
  const refused = { code: "invalid_event", message: "no" };
  const told = [{ seq: 1 }, { sampled: true }, { refused }, {}, { seq: 2 }];
  await inside(t, async (ctx) => void (await Promise.all(ids.map((id, at) => ctx.db.patch(id, told[at])))));
  await run((ctx) => log.updateConfig(ctx, { keepDays: 30 }));
  await inside(t, startEviction);
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect((await table(t, "auditLogs")).map(({ action }) => action)).toEqual(["refused", "waits", "young"]);
  expect(await run((ctx) => log.getStats(ctx, { fromTimestamp: 0 }))).toMatchObject({ totalCount: 3, complete: false });
});

test("it waits twice as long after each failure, up to 300 times, and as long as the server asks", async () => {
  const { t, log, run } = app();
  await run((ctx) => log.log(ctx, { action: "a" }));
  process.env.SEALOG_URL = "http://127.0.0.1:9";
  await run((ctx) => log.forwardAgain(ctx));
  const fail = async (chance: number, more: object = {}) => {
    vi.spyOn(Math, "random").mockReturnValue(chance);
    const [{ run: current }] = (await table(t, "forwarder")) as [{ run: number }];
    const args = { run: current, code: "network", message: "no", ...more };
    await inside(t, (ctx) => ctx.runMutation(makeFunctionReference<"mutation">("forwarding:fail"), args));
    const { state, nextAttemptAt, error } = await run((ctx) => log.forwardingStatus(ctx));
    expect(state).toBe("waiting");
    const sends = await inside(t, (ctx) => ctx.db.system.query("_scheduled_functions").order("desc").first());
    expect(sends).toMatchObject({ name: expect.stringContaining("send"), scheduledTime: nextAttemptAt });
    return nextAttemptAt! - error!.at;
  };
  for (const factor of [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
    expect(await fail(1)).toBe(factor * 1_000);
  }
  // So that many do not come back at once, a part of it is by chance.
  expect(await fail(0)).toBe(150_000);
  expect(await fail(1, { retryAfterMs: 500_000 })).toBe(500_000);
  // What works begins anew.
  const [{ run: current }, [{ _id: id }]] = [(await table(t, "forwarder"))[0], (await table(t, "auditLogs")) as [any]];
  const acknowledge = makeFunctionReference<"mutation">("forwarding:acknowledge");
  await inside(t, (ctx) => ctx.runMutation(acknowledge, { run: current, receipts: [{ id, seq: 0, treeSize: 1 }] }));
  await run((ctx) => log.log(ctx, { action: "b" }));
  expect(await fail(1)).toBe(1_000);
});

test("what the server refused is not read to find what waits for it", async () => {
  const { t, log, run } = app();
  const ids = await run((ctx) =>
    log.logBulk(
      ctx,
      Array.from({ length: 300 }, () => ({ action: "a" })),
    ),
  );
  const refused = { code: "invalid_event", message: "no" };
  await inside(t, async (ctx) => void (await Promise.all(ids.slice(0, 298).map((id) => ctx.db.patch(id, { refused })))));
  const read: string[] = [];
  const found = await inside(t, async (ctx) => {
    const noted = (query: any): any => ({
      withIndex: (name: string, range: any) => noted(query.withIndex(name, range)),
      first: () => query.first(),
      async *[Symbol.asyncIterator]() {
        for await (const event of query) {
          read.push(event._id);
          yield event;
        }
      },
    });
    const waits: string[] = [];
    for await (const { _id } of waiting({ query: (name: string) => noted(ctx.db.query(name)) } as any)) {
      waits.push(_id);
    }
    return waits;
  });
  expect(found).toEqual(ids.slice(298));
  expect(read).toEqual(found);
  expect(await run((ctx) => log.forwardingStatus(ctx))).toMatchObject({ pending: 2, refused: 298 });
});

test("counters of spans that are over are put together, and count the same", async () => {
  const { t, log, run } = app();
  const write = (at: number) =>
    run((ctx) =>
      log.logBulk(
        ctx,
        [3, 2, 1].map((days) => ({ action: `a.${at % 3}`, actorId: `u-${at}`, timestamp: Date.now() - days * DAY - at })),
      ),
    );
  for (let at = 0; at < 40; at++) {
    await write(at);
  }
  await run((ctx) => log.log(ctx, { action: "now" }));
  const stats = () => run((ctx) => log.getStats(ctx, { fromTimestamp: Date.now() - 4 * DAY }));
  const before = await stats();
  expect(before.totalCount).toBe(121);
  const maintain = async () => {
    await inside(t, (ctx) => ctx.runMutation(makeFunctionReference<"mutation">("forwarding:maintain"), {}));
    await t.finishAllScheduledFunctions(vi.runAllTimers);
  };
  const over = async () => (await table(t, "counters")).filter(({ span, start }) => start < Date.now() - 2 * span);
  expect((await over()).length).toBeGreaterThan(40);
  await maintain();
  const buckets = (await over()).map(({ span, start }) => `${span} ${start}`);
  expect(new Set(buckets).size).toBe(buckets.length);
  expect((await table(t, "counters")).filter(({ actions }) => actions[0].key === "now")).toHaveLength(3);
  expect(await stats()).toEqual(before);
  // What comes late is counted as well, and what goes out goes.
  await write(0);
  expect((await stats()).totalCount).toBe(124);
  await maintain();
  expect(new Set((await over()).map(({ span, start }) => `${span} ${start}`)).size).toBe((await over()).length);
  expect((await stats()).totalCount).toBe(124);
  await run((ctx) => log.cleanup(ctx, { olderThanDays: 0.5 }));
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect((await stats()).totalCount).toBe(1);
  expect(await table(t, "counters")).toHaveLength(3);
});

test("one query reads as much as it may, whatever it counts, and says where that is too little", async () => {
  const { log, run } = app();
  // Five MiB of each of two actions, all in one part of a minute.
  const timestamp = Math.floor(Date.now() / MINUTE) * MINUTE - MINUTE + 1;
  for (const action of ["a", "b"]) {
    const event = { action, actorId: "ada", timestamp, metadata: { text: "x".repeat(250_000) } };
    await run((ctx) => log.logBulk(ctx, Array(20).fill(event)));
  }
  const pattern = (action: string) => ({ action, threshold: 1, windowMinutes: 60, groupBy: "actor" as const });
  expect(await run((ctx) => log.detectAnomalies(ctx, [pattern("a")]))).toMatchObject([{ count: 20 }]);
  await expect(run((ctx) => log.detectAnomalies(ctx, [pattern("a"), pattern("b")]))).rejects.toThrow("too many events of b");
  const whole = { fromTimestamp: timestamp - 1, toTimestamp: timestamp - 2 + MINUTE };
  expect(await run((ctx) => log.getStats(ctx, whole))).toMatchObject({ totalCount: 40 });
  await expect(run((ctx) => log.getStats(ctx, { ...whole, fromTimestamp: timestamp }))).rejects.toThrow("more to count");
});

test("a counter that is full is followed by another one", async () => {
  const { t, log, run } = app();
  const random = vi.spyOn(Math, "random").mockReturnValue(0);
  for (let round = 0; round < 4; round++) {
    await run((ctx) =>
      log.logBulk(
        ctx,
        Array.from({ length: 600 }, (_, at) => ({ action: "a", actorId: `u-${round * 600 + at}` })),
      ),
    );
  }
  await run((ctx) =>
    log.logBulk(
      ctx,
      Array.from({ length: 5 }, () => ({ action: "a", actorId: "u-3" })),
    ),
  );
  random.mockRestore();
  const counters = await table(t, "counters");
  expect(counters.filter(({ span }) => span === DAY).length).toBeGreaterThan(1);
  const { totalCount, topActors } = await run((ctx) => log.getStats(ctx));
  expect([totalCount, topActors[0]]).toEqual([2_405, { actorId: "u-3", count: 6 }]);
});

test("anomalies: a threshold in a window, alone or for each group", async () => {
  const { log, run } = app();
  const failed = (minutes: number, ipAddress: string, actorId: string) => ({
    action: "user.login.failed",
    ipAddress,
    actorId,
    severity: "warning" as const,
    timestamp: Date.now() - minutes * MINUTE,
  });
  await run((ctx) =>
    log.logBulk(ctx, [
      ...Array.from({ length: 4 }, () => failed(1, "203.0.113.9", "ada")),
      ...Array.from({ length: 2 }, () => failed(2, "203.0.113.7", "ada")),
      failed(30, "203.0.113.7", "eve"),
      { action: "user.login.failed" },
    ]),
  );
  const detect = (pattern: object) =>
    run((ctx) => log.detectAnomalies(ctx, [{ action: "user.login.failed", threshold: 5, windowMinutes: 5, ...pattern }]));
  expect(await detect({})).toEqual([
    { action: "user.login.failed", count: 7, threshold: 5, windowMinutes: 5, detectedAt: Date.now(), name: "user.login.failed" },
  ]);
  expect(await detect({ threshold: 8 })).toEqual([]);
  expect(await detect({ threshold: 8, windowMinutes: 31 })).toMatchObject([{ count: 8 }]);
  expect(await detect({ groupBy: "ipAddress", threshold: 3, name: "by address" })).toMatchObject([
    { group: "203.0.113.9", count: 4, name: "by address" },
  ]);
  expect(await detect({ groupBy: "actor", threshold: 6 })).toMatchObject([{ group: "ada", count: 6 }]);
  expect(await detect({ groupBy: "session", threshold: 1 })).toEqual([]);
  expect(await detect({ filter: { severity: ["warning"] }, threshold: 6 })).toMatchObject([{ count: 6 }]);
  expect(await detect({ filter: { severity: ["warning"] }, threshold: 7 })).toEqual([]);
});

test("a query asks for what it can answer", async () => {
  const { log, run } = app();
  await expect(run((ctx) => log.queryByAction(ctx, { action: "a", limit: 0 }))).rejects.toThrow("a limit is");
  await expect(run((ctx) => log.search(ctx, { filters: {}, pagination: { limit: 10, cursor: "nonsense" } }))).rejects.toThrow(
    "cursor",
  );
});

test("without a server nothing is forwarded, and the component says so", async () => {
  const { t, log, run } = app();
  await run((ctx) => log.log(ctx, { action: "a" }));
  expect(await inside(t, (ctx) => ctx.db.system.query("_scheduled_functions").collect())).toEqual([]);
  expect(await run((ctx) => log.forwardingStatus(ctx))).toMatchObject({ state: "off", acknowledged: 0, error: null });
  expect(await run((ctx) => log.coverage(ctx))).toBeNull();
  await expect(run((ctx) => log.forwardAgain(ctx))).rejects.toThrow("no Sealog server");
});
