// @vitest-environment edge-runtime
// Forwarding to the real program, over a line that is not always there.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { anyApi, makeFunctionReference } from "convex/server";
import { AuditLog as Client, verifyProof } from "sealog";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BadLine, RealServer, sealog, type LineFault } from "../../../client/test/server.js";
import { exposeSealogApi, type Report } from "../../src/client/index.js";
import { app, components, inside } from "../app.js";

const DAY = 24 * 60 * 60_000;

let server: RealServer;
let line: BadLine;

// Each test has a log of its own: in tests, Convex gives out the same ids each time.
beforeEach(async () => {
  server = await RealServer.start();
  line = await BadLine.to(() => server.url);
  process.env.SEALOG_URL = line.url;
  process.env.SEALOG_API_KEY = server.adminKey;
  process.env.SEALOG_BACKOFF_MS = "5";
});

afterEach(async () => {
  for (const name of ["SEALOG_URL", "SEALOG_API_KEY", "SEALOG_READ_KEY", "SEALOG_BACKOFF_MS"]) {
    delete process.env[name];
  }
  await line.close();
  try {
    // The whole log is checked after each test: this fails where it is not what was sealed.
    server.run("verify");
  } finally {
    await server.close();
  }
});

/** An application whose events are forwarded. `modules` are its own functions. */
function forwarding(modules: Record<string, object> = {}) {
  const it = app({}, modules);
  return {
    ...it,
    write: (events: object[]) =>
      it.run((ctx) =>
        it.log.logBulk(
          ctx,
          events.map((event) => ({ action: "a", ...event })),
        ),
      ),
    status: () => it.run((ctx) => it.log.forwardingStatus(ctx)),
    all: async () => (await it.run((ctx) => it.log.search(ctx, { filters: {}, pagination: { limit: 8_192 } }))).items,
    /** Waits until nothing waits. */
    settled: () =>
      vi.waitFor(
        async () => expect(await it.run((ctx) => it.log.forwardingStatus(ctx))).toMatchObject({ state: "idle", pending: 0 }),
        {
          timeout: 60_000,
          interval: 20,
        },
      ),
  };
}

/** What the server has of applications, in the order of its log. */
async function logged(): Promise<{ id: string; seq: number; action: string; timestamp: number; metadata?: { n: number } }[]> {
  const found = [];
  for (let afterSeq = -1; ;) {
    const answer = await fetch(`${server.url}/v1/events?afterSeq=${afterSeq}&limit=1000`, {
      headers: { authorization: `Bearer ${server.adminKey}` },
    });
    const page = (await answer.json()) as { events: any[]; afterSeq: number };
    if (page.events.length === 0) {
      return found.filter(({ action }) => !action.startsWith("sealog."));
    }
    found.push(...page.events);
    afterSeq = page.afterSeq;
  }
}

const numbered = (count: number, from = 0) => Array.from({ length: count }, (_, at) => ({ metadata: { n: from + at } }));

test("events come to the server once, in the order of commits, and their receipts come back", async () => {
  const it = forwarding();
  const ids: string[] = [];
  for (let round = 0; round < 12; round++) {
    // The time at which something happened is no order of commits.
    ids.push(...(await it.write(numbered(100, round * 100).map((event) => ({ ...event, timestamp: Date.now() - round * DAY })))));
  }
  await it.settled();
  const there = await logged();
  expect(there.map(({ id }) => id)).toEqual(ids);
  expect(there.map(({ metadata }) => metadata!.n)).toEqual(Array.from({ length: 1_200 }, (_, at) => at));
  const events = await it.all();
  expect(events.length).toBe(1_200);
  const seqs = new Map(there.map(({ id, seq }) => [id, seq]));
  for (const { _id, seq, treeSize } of events) {
    expect(seq).toBe(seqs.get(_id));
    expect(treeSize).toBeGreaterThan(seq!);
  }
  const last = there.at(-1)!.seq;
  expect(await it.status()).toEqual({
    state: "idle",
    pending: 0,
    oldestPendingAt: null,
    refused: 0,
    acknowledged: 1_200,
    lastSeq: last,
    treeSize: last + 1,
    failures: 0,
    error: null,
    nextAttemptAt: null,
  });
});

test("an event that was made early and committed late comes late", async () => {
  delete process.env.SEALOG_URL;
  const it = forwarding();
  const ids: string[] = [];
  for (const event of numbered(5)) {
    ids.push(...(await it.write([event])));
  }
  // In tests, transactions are one after the other: these are committed once more, in another order.
  for (const at of [1, 0]) {
    await inside(it.t, (ctx) => ctx.db.patch(ids[at], { commitTs: ctx.db.vars.commitTs }));
  }
  process.env.SEALOG_URL = line.url;
  ids.push(...(await it.write(numbered(1, 5))));
  await it.settled();
  expect((await logged()).map(({ id }) => id)).toEqual([2, 3, 4, 1, 0, 5].map((at) => ids[at]));
  expect(await it.status()).toMatchObject({ acknowledged: 6, pending: 0 });
});

describe("each event is there once, in order, however the line fails", () => {
  const faults: LineFault[] = ["slow", "twice", "reset before", "reset after", "cut", "page", "gateway", "wrong json"];
  for (const fault of faults) {
    test(fault, async () => {
      const it = forwarding();
      const ids: string[] = [];
      for (let round = 0; round < 6; round++) {
        line.faults.push(...Array<LineFault>(3).fill(fault), "none", fault);
        ids.push(...(await it.write(numbered(40, round * 40))));
        if (round % 2 === 1) {
          await it.settled();
        }
      }
      await it.settled();
      line.faults = [];
      expect((await logged()).map(({ id }) => id)).toEqual(ids);
      expect(await it.status()).toMatchObject({ acknowledged: 240, failures: 0, error: null });
      expect((await it.all()).every(({ seq }) => seq !== undefined)).toBe(true);
    });
  }
});

test("a server that is killed and comes back has all of them, once and in order", async () => {
  const it = forwarding();
  const ids: string[] = [];
  for (let round = 0; round < 8; round++) {
    ids.push(...(await it.write(numbered(150, round * 150))));
    if (round % 3 === 1) {
      await server.kill();
      await vi.waitFor(async () => expect(await it.status()).toMatchObject({ state: "waiting", error: { code: "network" } }), {
        timeout: 60_000,
        interval: 5,
      });
      ids.push(...(await it.write(numbered(10, 10_000 + round * 10))));
      await server.start();
    }
  }
  await it.settled();
  expect((await logged()).map(({ id }) => id)).toEqual(ids);
});

test("a mutation that throws forwards nothing", async () => {
  const it = forwarding();
  const failing = it.run(async (ctx) => {
    await it.log.log(ctx, { action: "never" });
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  expect(await it.status()).toMatchObject({ state: "idle", pending: 0, acknowledged: 0 });
  await it.write([{ action: "after" }]);
  await it.settled();
  expect((await logged()).map(({ action }) => action)).toEqual(["after"]);
});

test("with a key that is not taken it waits and says so, and goes on with one that is", async () => {
  process.env.SEALOG_API_KEY = "sk_wrong";
  const it = forwarding();
  const ids = await it.write(numbered(3));
  await vi.waitFor(
    async () => expect(await it.status()).toMatchObject({ state: "waiting", pending: 3, error: { code: "unauthenticated" } }),
    {
      interval: 5,
      timeout: 60_000,
    },
  );
  expect((await it.status()).nextAttemptAt).toBeGreaterThan(0);
  process.env.SEALOG_API_KEY = server.adminKey;
  // It need not wait until its pause is over.
  await it.run((ctx) => it.log.forwardAgain(ctx));
  await it.settled();
  expect((await logged()).map(({ id }) => id)).toEqual(ids);
});

test("an event that the server refuses is set aside with the reason, and holds up no other", async () => {
  const it = forwarding();
  // The client would refuse it at once; the component takes it as it comes.
  const refused = { action: "refused", userAgent: "x".repeat(5_000), timestamp: Date.now() - 1_000 };
  const events = [...numbered(5), refused, ...numbered(5, 5)].map((event) => ({ action: "a", ...event }));
  const ids = await it.run((ctx) => ctx.runMutation(components.auditLog.lib.logBulk, { events }));
  await it.settled();
  expect(await it.status()).toMatchObject({ refused: 1, acknowledged: 10, error: null });
  expect((await logged()).map(({ id }) => id)).toEqual(ids.filter((_, at) => at !== 5));
  const event = await it.run((ctx) => it.log.get(ctx, ids[5]!));
  expect(event).toMatchObject({
    action: "refused",
    refused: { code: "limit_exceeded", message: expect.stringContaining("userAgent") },
  });
  expect(event!.seq).toBeUndefined();
  // Sent again it is refused again; nothing else is sent twice.
  expect(await it.run((ctx) => it.log.forwardAgain(ctx))).toBe(1);
  await it.settled();
  expect((await logged()).length).toBe(10);
  expect((await it.run((ctx) => it.log.get(ctx, ids[5]!)))!.refused?.code).toBe("limit_exceeded");
  // It is nowhere else: no clean-up takes it, unless told so.
  expect(await it.run((ctx) => it.log.cleanup(ctx, { olderThanDays: 0 }))).toBe(10);
  expect(await it.run((ctx) => it.log.cleanup(ctx, { olderThanDays: 0, includeRefused: true }))).toBe(1);
  expect(await it.status()).toMatchObject({ refused: 0 });
});

/** A proxy that takes requests of so many bytes and answers larger ones by itself, as they do. */
async function narrowLine(target: string, most: number) {
  const proxy = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) {
      pieces.push(piece as Buffer);
    }
    const body = Buffer.concat(pieces);
    if (body.length > most) {
      response.writeHead(413, { "content-type": "text/html" }).end("<h1>413 Request Entity Too Large</h1>");
      return;
    }
    const { authorization = "", "content-type": type = "" } = request.headers;
    const answer = await fetch(`${target}${request.url}`, { method: "POST", headers: { authorization, "content-type": type }, body });
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type")! }).end(await answer.text());
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, close: () => once(proxy.close(), "close") };
}

describe("what is too much for one request comes in smaller ones, and what is too much alone is refused", () => {
  async function sent(code: string) {
    const it = forwarding();
    const events = Array.from({ length: 12 }, (_, at) => ({ metadata: { n: at, text: "x".repeat(at === 5 ? 30_000 : 3_000) } }));
    const ids = await it.write(events);
    await it.settled();
    expect((await logged()).map(({ id }) => id)).toEqual(ids.filter((_, at) => at !== 5));
    expect(await it.status()).toMatchObject({ acknowledged: 11, refused: 1, failures: 0 });
    expect((await it.run((ctx) => it.log.get(ctx, ids[5]!)))!.refused?.code).toBe(code);
  }

  test("by the server", async () => {
    await server.kill("SIGTERM");
    await server.start("--limit", "max_body_bytes=20000");
    process.env.SEALOG_URL = server.url;
    await sent("too_large");
  });

  test("by a proxy before it", async () => {
    const narrow = await narrowLine(server.url, 20_000);
    process.env.SEALOG_URL = narrow.url;
    await sent("bad_answer");
    await narrow.close();
  });
});

test("a writer's key forwards, and a reader's asks", async () => {
  const keyOf = async (role: string) => {
    const answer = await fetch(`${server.url}/v1/keys`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.adminKey}`, "content-type": "application/json" },
      body: JSON.stringify({ name: role, role }),
    });
    return ((await answer.json()) as { key: string }).key;
  };
  process.env.SEALOG_API_KEY = await keyOf("writer");
  const it = forwarding();
  const ids = await it.write(numbered(3));
  await it.settled();
  const ask = () => it.act((ctx) => it.log.sealog.queryByAction(ctx, { action: "a" }));
  await expect(ask()).rejects.toMatchObject({ code: "forbidden" });
  process.env.SEALOG_READ_KEY = await keyOf("reader");
  expect((await ask()).map(({ _id }) => _id)).toEqual([...ids].reverse());
});

test("a forwarder that was lost is followed by another one, and has no say any more", async () => {
  const it = forwarding();
  const forwarder = (change: object) =>
    inside(it.t, async (ctx) => {
      for (const table of ["forwarder", "progress"]) {
        const found = await ctx.db.query(table).first();
        await ctx.db.patch(found._id, table === "forwarder" ? { isRunning: true, run: 100 } : { dueAt: 0, ...change });
      }
    });
  await it.write(numbered(1));
  await it.settled();
  // An action that Convex lost: it is said to run, and nothing moves.
  await forwarder({});
  const ids = await it.write(numbered(2, 1));
  expect(await it.status()).toMatchObject({ state: "sending", pending: 2 });
  // What an earlier one would write down is not.
  const late = { run: 1, receipts: [{ id: ids[0], seq: 99 }] };
  await inside(it.t, (ctx) => ctx.runMutation(makeFunctionReference<"mutation">("forwarding:acknowledge"), late));
  expect((await it.run((ctx) => it.log.get(ctx, ids[0]!)))!.seq).toBeUndefined();

  await inside(it.t, (ctx) => ctx.scheduler.runAfter(0, makeFunctionReference<"mutation">("forwarding:maintain"), {}));
  await it.settled();
  expect((await logged()).map(({ id }) => id).slice(1)).toEqual(ids);
});

test("a server that is configured later gets what was there before, and an id that it knows is refused", async () => {
  delete process.env.SEALOG_URL;
  const it = forwarding();
  const ids = await it.write(numbered(9));
  expect(await it.status()).toMatchObject({ state: "off", pending: 9 });
  // Somebody else's event has the id of one of them.
  await fetch(`${server.url}/v1/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${server.adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ id: ids[4], action: "another" }),
  });
  process.env.SEALOG_URL = line.url;
  await inside(it.t, (ctx) => ctx.scheduler.runAfter(0, makeFunctionReference<"mutation">("forwarding:maintain"), {}));
  await vi.waitFor(async () => expect(await it.status()).toMatchObject({ acknowledged: 8 }), { timeout: 60_000, interval: 20 });
  await it.settled();
  expect((await logged()).map(({ id }) => id)).toEqual([ids[4], ...ids.filter((_, at) => at !== 4)]);
  expect((await it.run((ctx) => it.log.get(ctx, ids[4]!)))!.refused?.code).toBe("id_conflict");
  // A clean-up takes what was acknowledged.
  expect(await it.run((ctx) => it.log.cleanup(ctx, { olderThanDays: 0 }))).toBe(8);
});

test("no clean-up removes what the server is yet to get", async () => {
  process.env.SEALOG_API_KEY = "sk_wrong";
  const it = forwarding();
  await it.write(numbered(3).map((event) => ({ ...event, timestamp: Date.now() - 200 * DAY })));
  expect(await it.run((ctx) => it.log.cleanup(ctx))).toBe(0);
  process.env.SEALOG_API_KEY = server.adminKey;
  await it.settled();
  expect(await it.run((ctx) => it.log.cleanup(ctx))).toBe(3);
  expect((await logged()).length).toBe(3);
});

test("tables and server tell the same of an event, and write the same table", async () => {
  const it = forwarding();
  const base = Date.now() - 10_000;
  const ids = await it.write([
    {
      action: "=1+1",
      actorId: 'a,"b"',
      tags: ["x", "y"],
      metadata: { text: "two\nlines", n: 1.5, deep: [{ a: null }] },
      timestamp: base,
    },
    { action: "'quoted", ipAddress: "203.0.113.9", sessionId: "@s", requestId: "r-1", outcome: "denied", timestamp: base + 1 },
    {
      action: "user.updated",
      severity: "warning",
      resourceType: "users",
      resourceId: "u-1",
      before: { password: "one", name: "Ada", roles: ["a", "b"], gone: 1 },
      after: { password: "two", name: "Eve", roles: ["a", "c"], added: { deep: true } },
      timestamp: base + 2,
    },
    { action: "made", resourceType: "users", resourceId: "u-2", before: null, after: { apiKey: "k", n: 1 }, timestamp: base + 3 },
    { action: "a", id: "given-1" },
    { action: "a", id: "given-2", metadata: {} },
    { action: "a", id: "given-3", metadata: { n: 1 } },
    { action: "a", metadata: {} },
    { action: "a", id: "given-4", metadata: "text" },
    { action: "a", metadata: [1, 2] },
  ]);
  await it.settled();
  for (const _id of ids) {
    const here = (await it.run((ctx) => it.log.get(ctx, _id)))!;
    const { _creationTime: _, treeSize: __, ...told } = here;
    const { _creationTime: ___, ...there } = (await it.act((ctx) => it.log.sealog.get(ctx, _id)))!;
    expect(there).toEqual(told);
  }
  expect(JSON.stringify(await logged())).not.toMatch(/"one"|"two"/);
  const asked = {
    startDate: base,
    endDate: base + 3,
    format: "csv" as const,
    includeFields: [
      "time",
      "date",
      "timestamp",
      "action",
      "actorId",
      "tags",
      "tags.1",
      "metadata",
      "metadata.text",
      "/metadata/deep/0/a",
      "outcome",
      "sessionId",
      "after",
      "after.added",
      "before",
    ],
  };
  const here = await it.run((ctx) => it.log.generateReport(ctx, asked));
  const there = await it.act((ctx) => it.log.sealog.generateReport(ctx, asked));
  expect(here.data).toBe(there.data);
  const json = { ...asked, format: "json" as const };
  const [a, b] = [
    await it.run((ctx) => it.log.generateReport(ctx, json)),
    await it.act((ctx) => it.log.sealog.generateReport(ctx, json)),
  ];
  expect(JSON.parse(a.data)).toEqual(JSON.parse(b.data));
});

test("lists, pages and reports of the server are as long as those of the tables", async () => {
  const it = forwarding();
  const base = Date.now() - DAY;
  const ids: string[] = [];
  for (let round = 0; round < 5; round++) {
    // Seven of each moment.
    const events = Array.from({ length: 500 }, (_, at) => ({
      action: "a",
      actorId: `u-${at % 3}`,
      severity: "error" as const,
      timestamp: base + Math.floor((round * 500 + at) / 7),
    }));
    ids.push(...(await it.write(events)));
  }
  await it.settled();
  const { sealog } = it.log;
  const of = (events: { _id: string }[]) => events.map(({ _id }) => _id).sort();
  for (const limit of [1_001, 2_400]) {
    expect(of(await it.act((ctx) => sealog.queryByAction(ctx, { action: "a", limit })))).toHaveLength(limit);
    expect(await it.act((ctx) => sealog.watchCritical(ctx, { limit }))).toHaveLength(limit);
  }
  const search = (limit: number, cursor: string | null) =>
    it.act((ctx) => sealog.search(ctx, { filters: { actions: ["a"] }, pagination: { limit, cursor } }));
  const first = await search(1_800, null);
  const second = await search(5_000, first.cursor);
  expect([first.hasMore, second.hasMore, second.cursor]).toEqual([true, false, null]);
  expect(of([...first.items, ...second.items])).toEqual([...ids].sort());
  for (const format of ["csv", "json"] as const) {
    // Pages begin and end in the midst of a moment.
    const asked = { startDate: base, endDate: base + 1_000, format, maxRecords: 900, includeFields: ["_id", "timestamp", "actorId"] };
    const here: Report[] = [];
    const there: Report[] = [];
    for (let page = 0; page < 3; page++) {
      here.push(await it.run((ctx) => it.log.generateReport(ctx, { ...asked, cursor: here.at(-1)?.cursor ?? null })));
      there.push(await it.act((ctx) => sealog.generateReport(ctx, { ...asked, cursor: there.at(-1)?.cursor ?? null })));
    }
    expect(there.map(({ data }) => data)).toEqual(here.map(({ data }) => data));
    const shapes = (pages: Report[]) => pages.map(({ recordCount, truncated }) => [recordCount, truncated]);
    expect(shapes(there)).toEqual([
      [900, true],
      [900, true],
      [700, false],
    ]);
    expect(shapes(there)).toEqual(shapes(here));
  }
  await expect(search(8_193, null)).rejects.toThrow("from 1 to 8192");
  await expect(it.run((ctx) => it.log.queryByAction(ctx, { action: "a", limit: 8_193 }))).rejects.toThrow("from 1 to 8192");
  const wrong = { startDate: 0, endDate: 1, format: "csv" as const, cursor: "nonsense" };
  await expect(it.act((ctx) => sealog.generateReport(ctx, wrong))).rejects.toThrow("none of this report");
});

test("the table of a grouped report is the one that the server writes", async () => {
  const it = forwarding();
  const base = Date.now() - 10_000;
  const actors = ["b", undefined, "a,1", "b", undefined, "unknown", "b"];
  await it.write(actors.map((actorId, at) => ({ ...(actorId ? { actorId } : {}), timestamp: base + at, metadata: { n: at % 2 } })));
  await it.settled();
  const client = new Client({ url: server.url, apiKey: server.adminKey });
  for (const groupBy of ["actorId", "metadata.n"]) {
    const asked = { startDate: base, endDate: base + 6, format: "csv" as const, includeFields: ["action", "timestamp", "actorId"], groupBy };
    const { data } = await client.generateReport({ ...asked, endDate: base + 7, filters: { actions: ["a"] } });
    expect(data).toContain("groupCount");
    expect((await it.run((ctx) => it.log.generateReport(ctx, asked))).data).toBe(data);
    expect((await it.act((ctx) => it.log.sealog.generateReport(ctx, asked))).data).toBe(data);
  }
});

describe("what the server logs of its own", () => {
  let it: ReturnType<typeof forwarding>;
  let reading: ChildProcess;
  const since = Date.now() - DAY;

  beforeEach(async () => {
    // Reads are events, as they are unless told otherwise.
    await server.kill("SIGTERM");
    const args = ["serve", "--log", server.log, "--listen", new URL(server.url).host, "--log-level", "error"];
    reading = spawn(sealog(), args, { stdio: "ignore", cwd: server.folder });
    await vi.waitFor(() => fetch(server.url), { timeout: 60_000, interval: 20 });
    it = forwarding();
    await it.write(
      Array.from({ length: 40 }, (_, at) => ({
        action: `a.${at % 12}`,
        actorId: `u-${at % 15}`,
        severity: at % 2 ? "info" : "warning",
        timestamp: since + 1 + at,
      })),
    );
    await it.settled();
    const client = new Client({ url: server.url, apiKey: server.adminKey });
    await client.search({});
    await client.getStats();
    await client.generateReport({ format: "csv" });
    await it.write(Array.from({ length: 5 }, (_, at) => ({ action: "b", timestamp: since + 100 + at })));
    await it.settled();
    expect((await client.search({ filters: { actions: ["sealog.*"] } })).items.length).toBeGreaterThan(2);
  });

  afterEach(async () => {
    const ended = once(reading, "exit");
    reading.kill("SIGTERM");
    await ended;
  });

  test("is in no answer, so that it is that of the tables", async () => {
    const { sealog } = it.log;
    const of = (events: { _id: string }[]) => events.map(({ _id }) => _id);
    const severity = ["info", "warning", "error", "critical"] as const;
    for (const limit of [3, 7, 45, 50]) {
      const bySeverity = { severity: [...severity], limit };
      expect(of(await it.act((ctx) => sealog.queryBySeverity(ctx, bySeverity)))).toEqual(
        of(await it.run((ctx) => it.log.queryBySeverity(ctx, bySeverity))),
      );
      const found: string[] = [];
      for (let cursor: string | null = null, pages = 1; ; pages++) {
        const page: Awaited<ReturnType<typeof sealog.search>> = await it.act((ctx) =>
          sealog.search(ctx, { filters: {}, pagination: { limit, cursor } }),
        );
        found.push(...of(page.items));
        cursor = page.cursor;
        expect(page.items.length <= limit && page.hasMore === (cursor !== null)).toBe(true);
        if (cursor === null) {
          expect(pages).toBeLessThanOrEqual(Math.ceil(45 / limit) + 1);
          break;
        }
      }
      expect(found).toEqual(of(await it.all()));
    }
    const range = { fromTimestamp: since };
    expect(await it.act((ctx) => sealog.getStats(ctx, range))).toEqual(await it.run((ctx) => it.log.getStats(ctx, range)));
    const report = { startDate: since, endDate: Date.now() + 60_000, format: "json" as const, maxRecords: 20 };
    const here: Report[] = [];
    const there: Report[] = [];
    for (let page = 0; page < 3; page++) {
      here.push(await it.run((ctx) => it.log.generateReport(ctx, { ...report, cursor: here.at(-1)?.cursor ?? null })));
      there.push(await it.act((ctx) => sealog.generateReport(ctx, { ...report, cursor: there.at(-1)?.cursor ?? null })));
    }
    expect(there.map(({ data, recordCount }) => [data, recordCount])).toEqual(here.map(({ data, recordCount }) => [data, recordCount]));
    const patterns = [{ action: "sealog.read", threshold: 1, windowMinutes: 60 }];
    expect(await it.act((ctx) => sealog.detectAnomalies(ctx, patterns))).toHaveLength(0);
    const [own] = (await new Client({ url: server.url, apiKey: server.adminKey }).search({ filters: { actions: ["sealog.*"] } })).items;
    expect(await it.act((ctx) => sealog.get(ctx, own!._id))).toBeNull();
  });

  test("is not asked for by a pattern", async () => {
    const { sealog } = it.log;
    expect(await it.run((ctx) => it.log.queryByAction(ctx, { action: "a.*" }))).toHaveLength(0);
    const asked = [
      () => it.act((ctx) => sealog.queryByAction(ctx, { action: "a.*" })),
      () => it.act((ctx) => sealog.queryByActor(ctx, { actorId: "u-1", actions: ["a.*"] })),
      () => it.act((ctx) => sealog.search(ctx, { filters: { actions: ["a.1", "a.*"] }, pagination: { limit: 1 } })),
      () => it.act((ctx) => sealog.detectAnomalies(ctx, [{ action: "a.*", threshold: 1, windowMinutes: 5 }])),
    ];
    for (const ask of asked) {
      await expect(ask()).rejects.toThrow("a.* would be a pattern");
    }
  });
});

describe("what has left Convex", () => {
  let it: ReturnType<typeof forwarding>;
  let ids: string[];

  beforeEach(async () => {
    it = forwarding({ history: exposeSealogApi(components.auditLog, { auth: async () => null }) });
    await it.run((ctx) => it.log.updateConfig(ctx, { keepDays: 30 }));
    const start = Date.now() - 60 * DAY;
    const old = Array.from({ length: 250 }, (_, at) => ({
      action: "record.updated",
      actorId: "ada",
      resourceType: "note",
      resourceId: "n-1",
      severity: "error" as const,
      before: { title: `v${at}` },
      after: { title: `v${at + 1}` },
      timestamp: start + at,
      id: `old-${at}`,
    }));
    ids = await it.write([
      ...old,
      ...Array.from({ length: 20 }, () => ({ action: "record.viewed", actorId: "ada", resourceType: "note", resourceId: "n-1" })),
    ]);
    await it.settled();
    await vi.waitFor(async () => expect((await it.all()).length).toBe(20), { timeout: 60_000, interval: 20 });
  });

  test("is no longer in the tables, and queries that reach so far say so", async () => {
    const since = await it.run((ctx) => it.log.coverage(ctx));
    expect(since).toBeGreaterThan(Date.now() - 61 * DAY);
    const resource = { resourceType: "note", resourceId: "n-1" };
    expect(await it.run(async (ctx) => (await it.log.queryByResource(ctx, { ...resource, limit: 20 })).complete)).toBe(true);
    expect(await it.run(async (ctx) => (await it.log.queryByResource(ctx, { ...resource, limit: 21 })).complete)).toBe(false);
    expect(
      await it.run(
        async (ctx) => (await it.log.queryByResource(ctx, { ...resource, limit: 21, fromTimestamp: since! })).complete,
      ),
    ).toBe(true);
    expect(await it.run(async (ctx) => (await it.log.watchCritical(ctx)).complete)).toBe(false);
    expect(await it.run((ctx) => it.log.getStats(ctx))).toMatchObject({ totalCount: 20, complete: true });
    expect(await it.run((ctx) => it.log.getStats(ctx, { fromTimestamp: 0 }))).toMatchObject({ totalCount: 20, complete: false });
    expect(await it.run((ctx) => it.log.search(ctx, { filters: {}, pagination: { limit: 5 } }))).toMatchObject({
      complete: true,
      hasMore: true,
    });
    // That it has left is not that it never was.
    await expect(it.run((ctx) => it.log.get(ctx, ids[0]!))).rejects.toThrow("not in Convex any more");
    expect(await it.run((ctx) => it.log.get(ctx, "nothing"))).toBeNull();
    const detected = async (windowMinutes: number) => {
      const pattern = { action: "record.viewed", threshold: 20, windowMinutes };
      return it.run(async (ctx) => {
        const found = await it.log.detectAnomalies(ctx, [pattern]);
        return [found.length, found.complete];
      });
    };
    expect(await detected(60)).toEqual([1, true]);
    expect(await detected(61 * 24 * 60)).toEqual([1, false]);
    const report = { startDate: 0, endDate: Date.now(), format: "json" as const };
    expect(await it.run((ctx) => it.log.generateReport(ctx, report))).toMatchObject({ recordCount: 20, complete: false });
  });

  test("is known by its id still", async () => {
    const { _id, _creationTime, seq, diff, ...again } = (await it.act((ctx) => it.log.sealog.get(ctx, ids[3]!)))!;
    expect(again).toMatchObject({ id: "old-3", action: "record.updated" });
    expect(await it.run((ctx) => it.log.log(ctx, again))).toBe(ids[3]);
    const another = { id: "old-3", action: "admin.deleted", severity: "critical" as const };
    await expect(it.run((ctx) => it.log.log(ctx, another))).rejects.toThrow("belongs to another event");
    expect((await it.all()).length).toBe(20);
  });

  test("is answered by the server, by the same names and arguments", async () => {
    const { sealog } = it.log;
    const act = it.act;
    const history = await act((ctx) => sealog.queryByResource(ctx, { resourceType: "note", resourceId: "n-1", limit: 1_000 }));
    expect(await act(async (ctx) => (await sealog.queryByActor(ctx, { actorId: "ada" })).complete)).toBe(true);
    expect(new Set(history.map(({ _id }) => _id))).toEqual(new Set(ids));
    expect(history.at(-1)).toMatchObject({ _id: ids[0], diff: '~ title: "v0" → "v1"', seq: expect.any(Number) });
    expect(await act((ctx) => sealog.get(ctx, ids[7]!))).toMatchObject({
      _id: ids[7],
      action: "record.updated",
      after: { title: "v8" },
    });
    expect(await act((ctx) => sealog.get(ctx, "nothing"))).toBeNull();
    const filters = { actorIds: ["ada"], actions: ["record.updated"], toTimestamp: Date.now() - 59 * DAY };
    const first = await act((ctx) => sealog.search(ctx, { filters, pagination: { limit: 200 } }));
    const rest = await act((ctx) => sealog.search(ctx, { filters, pagination: { limit: 200, cursor: first.cursor } }));
    expect([...first.items, ...rest.items].map(({ _id }) => _id)).toEqual(ids.slice(0, 250).reverse());
    expect(rest).toMatchObject({ hasMore: false, cursor: null, complete: true });
    // Both ends of a range are included, as in the tables.
    const edge = history.at(-1)!.timestamp;
    const one = await act((ctx) =>
      sealog.search(ctx, { filters: { actorIds: ["ada"], fromTimestamp: edge, toTimestamp: edge }, pagination: { limit: 5 } }),
    );
    expect(one.items.map(({ _id }) => _id)).toEqual([ids[0]]);
    expect(
      (await act((ctx) => sealog.queryByActor(ctx, { actorId: "ada", actions: ["record.viewed"], limit: 5 }))).map(
        ({ _id }) => _id,
      ),
    ).toHaveLength(5);
    expect((await act((ctx) => sealog.queryByAction(ctx, { action: "record.updated", limit: 3 }))).length).toBe(3);
    expect((await act((ctx) => sealog.queryBySeverity(ctx, { severity: ["error"], limit: 3 }))).length).toBe(3);
    expect((await act((ctx) => sealog.watchCritical(ctx))).length).toBe(20);
    const stats = await act((ctx) => sealog.getStats(ctx, { fromTimestamp: edge, toTimestamp: edge + 249 }));
    expect(stats).toEqual({
      totalCount: 250,
      bySeverity: { info: 0, warning: 0, error: 250, critical: 0 },
      topActions: [{ action: "record.updated", count: 250 }],
      topActors: [{ actorId: "ada", count: 250 }],
      complete: true,
    });
    expect(
      await act((ctx) =>
        sealog.detectAnomalies(ctx, [{ action: "record.viewed", threshold: 20, windowMinutes: 60, groupBy: "actor" }]),
      ),
    ).toMatchObject([{ action: "record.viewed", group: "ada", threshold: 20, windowMinutes: 60 }]);
    const range = { startDate: edge, endDate: edge + 249, includeFields: ["actorId", "after.title"] };
    const json = await act((ctx) => sealog.generateReport(ctx, { ...range, format: "json", groupBy: "actorId" }));
    expect(JSON.parse(json.data).ada[0]).toEqual({ actorId: "ada", "after.title": "v1" });
    expect(json).toMatchObject({ recordCount: 250, truncated: false, cursor: null, complete: true });
    const csv = await act((ctx) => sealog.generateReport(ctx, { ...range, format: "csv" }));
    expect(csv.data.split("\r\n").slice(0, 2)).toEqual(["actorId,after.title", "ada,v1"]);
  });

  test("is answered to browsers as to the application", async () => {
    const { sealog } = it.log;
    const resource = { resourceType: "note", resourceId: "n-1", limit: 30 };
    const filters = { actorIds: ["ada"], actions: ["record.updated"], toTimestamp: Date.now() - 59 * DAY };
    const patterns = [{ action: "record.viewed", threshold: 20, windowMinutes: 60 }];
    const report = { startDate: 0, endDate: Date.now() - 59 * DAY, format: "csv" as const, maxRecords: 7 };
    const questions: [args: object, ask: (ctx: Parameters<typeof sealog.get>[0]) => Promise<unknown>, name: string][] = [
      [resource, (ctx) => sealog.queryByResource(ctx, resource), "queryByResource"],
      [{ actorId: "ada", limit: 3 }, (ctx) => sealog.queryByActor(ctx, { actorId: "ada", limit: 3 }), "queryByActor"],
      [{ severity: ["error"] }, (ctx) => sealog.queryBySeverity(ctx, { severity: ["error"] }), "queryBySeverity"],
      [{ action: "record.viewed" }, (ctx) => sealog.queryByAction(ctx, { action: "record.viewed" }), "queryByAction"],
      [{ limit: 4 }, (ctx) => sealog.watchCritical(ctx, { limit: 4 }), "watchCritical"],
      [{ filters, pagination: { limit: 9 } }, (ctx) => sealog.search(ctx, { filters, pagination: { limit: 9 } }), "search"],
      [{ id: ids[3] }, (ctx) => sealog.get(ctx, ids[3]!), "get"],
      [{ fromTimestamp: 0 }, (ctx) => sealog.getStats(ctx, { fromTimestamp: 0 }), "getStats"],
      [{ patterns }, (ctx) => sealog.detectAnomalies(ctx, patterns), "detectAnomalies"],
      [report, (ctx) => sealog.generateReport(ctx, report), "generateReport"],
    ];
    // What an answer says of when it was asked for.
    const told = (answer: unknown) =>
      JSON.parse(JSON.stringify(answer, (name, value) => (["generatedAt", "detectedAt"].includes(name) ? 0 : value)));
    for (const [args, ask, name] of questions) {
      const answer = await it.t.action((anyApi.history as any)[name], args);
      expect(told(answer), name).toEqual(told(await it.act(ask)));
      expect(JSON.stringify(answer).length, name).toBeGreaterThan(80);
    }
    const proof = await it.t.action((anyApi.history as any).getProof, { id: ids[0] });
    expect((await verifyProof(proof, server.run("key", "show").trim())).event).toMatchObject({ id: ids[0] });
  });

  test("is proved by the server", async () => {
    const proof = await it.act((ctx) => it.log.sealog.getProof(ctx, ids[0]!));
    const vkey = server.run("key", "show").trim();
    const { event } = await verifyProof(proof, vkey);
    expect(event).toMatchObject({ id: ids[0], after: { title: "v1" } });
  });
});
