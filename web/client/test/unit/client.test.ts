import { getEventListeners } from "node:events";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AuditLog, SealogError, type AuditLogOptions } from "../../src/index.js";
import { vectors } from "../contract.js";
import { FakeServer, problem, VirtualTime, type Fault } from "../fake.js";
import { frameText, record as told, saying, StreamServer } from "../streams.js";

function setUp(options: Partial<AuditLogOptions> = {}, time = new VirtualTime()) {
  const server = new FakeServer();
  const log = new AuditLog({ url: "http://log.test/", apiKey: "key-1", environment: time.environment(server.fetch), ...options });
  return { server, log, time };
}

/** A log whose questions are answered with `answer`. */
function answering(answer: (request: RequestInit) => Response | Promise<Response>, options: Partial<AuditLogOptions> = {}) {
  const requests: { url: string; request: RequestInit }[] = [];
  const time = new VirtualTime();
  const fetch = async (url: string | URL | Request, request: RequestInit = {}) => {
    requests.push({ url: String(url), request });
    return answer(request);
  };
  const log = new AuditLog({ url: "http://log.test", apiKey: "k", environment: time.environment(fetch), ...options });
  return { log, requests, time };
}

/** What never answers, and ends with its signal. */
const silence = ({ signal }: RequestInit) =>
  new Promise<Response>((_, reject) => signal!.addEventListener("abort", () => reject(signal!.reason)));

const json = (value: unknown) => () => Response.json(value);

describe("logging", () => {
  test("an event is sent with an id and a time of this side, and the key", async () => {
    const { server, log, time } = setUp();
    const id = await log.log({ action: "user.login", actorId: "ada", metadata: { method: "password" } });
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(server.events).toEqual([
      { id, action: "user.login", actorId: "ada", metadata: { method: "password" }, timestamp: time.now },
    ]);
    const { url, request } = server.requests[0]!;
    expect(url).toBe("http://log.test/v1/events");
    expect(request.headers).toMatchObject({ authorization: "Bearer key-1", "content-type": "application/x-ndjson" });
  });

  test("the receipt says where it is", async () => {
    const { log } = setUp();
    await log.log({ action: "a" });
    expect(await log.logWithReceipt({ action: "b", id: "mine", timestamp: 5 })).toEqual({ id: "mine", seq: 1, timestamp: 5, treeSize: 2 });
  });

  test("the server may say the time", async () => {
    const { server, log } = setUp({ timestamps: "server" });
    await log.log({ action: "a" });
    expect(server.events[0]).not.toHaveProperty("timestamp");
  });

  test("what is logged in one turn goes in one request, and what comes meanwhile in the next", async () => {
    const { server, log } = setUp();
    const first = Promise.all([log.log({ action: "1" }), log.log({ action: "2" })]);
    await Promise.resolve();
    const second = Promise.all([log.log({ action: "3" }), log.log({ action: "4" })]);
    await first;
    await second;
    expect(server.requests.map(({ request }) => String(request.body).trim().split("\n").length)).toEqual([2, 2]);
    expect(server.events.map(({ action }) => action)).toEqual(["1", "2", "3", "4"]);
  });

  test("a bulk is one array: together or not at all", async () => {
    const { server, log } = setUp();
    const ids = await log.logBulk([{ action: "a" }, { action: "b" }]);
    expect(ids).toEqual(server.events.map(({ id }) => id));
    expect(String(server.requests[0]!.request.body)).toMatch(/^\[/);
    expect(await log.logBulk([])).toEqual([]);
    const receipts = await log.logBulkWithReceipts([{ action: "c" }, { action: "d" }]);
    expect(receipts).toMatchObject([{ seq: 2, treeSize: expect.any(Number) }, { seq: 3 }]);
  });

  test("one that is refused does not keep the others back", async () => {
    const { server, log } = setUp();
    const [a, b, c] = await Promise.allSettled([log.log({ action: "a" }), log.log({ action: "refuse me" }), log.log({ action: "c" })]);
    expect([a.status, b.status, c.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((b as PromiseRejectedResult).reason).toMatchObject({ code: "invalid_event", status: 422, pointer: "/action", retryable: false });
    expect(server.requests).toHaveLength(1);
  });

  test("what is hidden leaves as it is stored, and that it changed is told", async () => {
    const { server, log } = setUp({ piiFields: ["email", { name: "Phone", mode: "remove" }, { name: "iban", mode: "mask" }] });
    await log.logChange({
      action: "user.updated",
      resourceType: "user",
      resourceId: "ada",
      generateDiff: true,
      before: { E_mail: "a@example.com", phone: "1", n: 1, deep: [{ password: "a" }] },
      after: { E_mail: "b@example.com", phone: "2", n: 2, deep: [{ password: "b" }] },
      metadata: { iban: "DE02120300000000202051" },
    });
    expect(server.events[0]).toMatchObject({
      before: { E_mail: "[REDACTED]", n: 1, deep: [{ password: "[REDACTED]" }] },
      after: { E_mail: "[REDACTED]", n: 2, deep: [{ password: "[REDACTED]" }] },
      metadata: { iban: "****2051" },
      changed: ["/E_mail", "/deep/0/password", "/phone"],
    });
    expect(server.events[0]).not.toHaveProperty("generateDiff");
    expect(JSON.stringify(server.events)).not.toMatch(/example\.com|"1"|DE02/);
  });

  test("metadata that is no object becomes one, and what cannot be sent is said at once", async () => {
    const { server, log } = setUp();
    await log.log({ action: "a", metadata: "text" });
    await log.log({ action: "a", metadata: null });
    expect(server.events.map(({ metadata }) => metadata)).toEqual([{ value: "text" }, undefined]);
    const circle: Record<string, unknown> = {};
    circle.circle = circle;
    await expect(log.log({ action: "a", metadata: circle })).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(log.log(undefined as never)).rejects.toMatchObject({ code: "invalid_argument" });
    expect(() => setUp({ piiFields: [{ name: "x", mode: "hash" as never }] })).toThrow(/hashing is the server's/);
    expect(() => setUp({ piiPaths: ["user.email"] })).toThrow(/metadata, before or after/);
  });

  test("names that objects inherit are names like others", async () => {
    const { server, log } = setUp({ piiPaths: ["metadata.__proto__.secret2"] });
    const metadata = JSON.parse('{"__proto__": {"secret2": "x", "password": "x"}, "constructor": 1, "toString": 2}');
    await log.log({ action: "a", metadata });
    expect(JSON.stringify(server.events[0]!.metadata)).toBe(
      '{"__proto__":{"secret2":"[REDACTED]","password":"[REDACTED]"},"constructor":1,"toString":2}',
    );
  });
});

describe("when the server is bad", () => {
  const fault = fc.constantFrom<Fault>("none", "lost", "stored but lost", "cut", "silent", "page", "stranger", "bad gateway", "busy", "half");

  test("nothing is lost, doubled or out of order, whatever becomes of requests and answers", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fault, { maxLength: 12 }),
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 20 }),
        async (faults, groups) => {
          const { server, log } = setUp({ retry: { maxAttempts: 30 }, batch: { maxBatchEvents: 4 } });
          server.faults = [...faults];
          const logged: Promise<string | string[]>[] = [];
          let number = 0;
          for (const size of groups) {
            const events = Array.from({ length: size }, () => ({ action: String(number++) }));
            if (size % 2 === 1) {
              logged.push(...events.map((event) => log.log(event)));
            } else {
              logged.push(log.logBulk(events));
            }
            await Promise.resolve();
          }
          const ids = (await Promise.all(logged)).flat();
          await log.close();
          expect(log.pendingCount).toBe(0);
          expect(server.events.map(({ id }) => id).sort()).toEqual([...ids].sort());
          // Where the server took all lines or none of a request, their order is kept as well.
          if (!faults.includes("half")) {
            expect(server.events.map(({ action }) => Number(action))).toEqual([...Array(number).keys()]);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test("what it gives up is an error, and known by its code", async () => {
    const { server, log } = setUp({ retry: { maxAttempts: 3 } });
    for (const [fault, code] of [["lost", "network"], ["silent", "timeout"], ["page", "bad_answer"], ["bad gateway", "bad_answer"], ["busy", "busy"]] as const) {
      server.faults = [fault, fault, fault];
      server.requests.length = 0;
      await expect(log.log({ action: "a" })).rejects.toMatchObject({ name: "SealogError", code, retryable: true });
      expect(server.requests).toHaveLength(3);
    }
    expect(log.pendingCount).toBe(0);
  });

  test("it waits for as long as the server asks, but no longer than a minute", async () => {
    const { server, log, time } = setUp();
    server.faults = ["busy"];
    const from = time.now;
    await log.log({ action: "a" });
    expect(time.now - from).toBe(1_000);
    for (const ask of [(log: AuditLog) => log.log({ action: "a" }), (log: AuditLog) => log.search()]) {
      const { log, requests, time } = answering(() => problem(429, "rate_limited", { "retry-after": "3000000" }), { retry: { maxAttempts: 4 } });
      const from = time.now;
      await expect(ask(log)).rejects.toMatchObject({ code: "rate_limited", retryAfterMs: 3_000_000_000 });
      expect(requests).toHaveLength(4);
      expect(time.now - from).toBe(3 * 60_000);
    }
  });

  test("a key that is refused is asked for again, once at once, and no key is tried for ever", async () => {
    let count = 0;
    const { server, log } = setUp({ apiKey: async () => `key-${++count}`, retry: { maxAttempts: 4 } });
    server.faults = ["refused"];
    await log.log({ action: "a" });
    expect(server.requests.map(({ request }) => (request.headers as Record<string, string>).authorization)).toEqual(["Bearer key-1", "Bearer key-2"]);
    server.faults = Array<Fault>(10).fill("refused");
    await expect(log.log({ action: "b" })).rejects.toMatchObject({ code: "unauthenticated" });
    expect(count).toBeLessThanOrEqual(6);
    const fixed = setUp();
    fixed.server.faults = ["refused"];
    await expect(fixed.log.log({ action: "a" })).rejects.toMatchObject({ code: "unauthenticated", status: 401 });
    expect(fixed.server.requests).toHaveLength(1);
  });

  test("a callback that never answers, or fails, is asked again", async () => {
    for (const first of [() => new Promise<string>(() => {}), () => Promise.reject(new Error("offline"))]) {
      let count = 0;
      const apiKey = () => (++count === 1 ? first() : "k");
      const { log } = setUp({ apiKey });
      await log.log({ action: "a" });
      const asking = answering(() => Response.json({ events: [] }), { apiKey: () => (++count === 3 ? first() : "k") });
      await Promise.all([asking.log.search(), asking.log.search()]);
      expect(count).toBe(4);
      const never = answering(() => Response.json({ events: [] }), { apiKey: () => first(), retry: { maxAttempts: 2 } });
      await expect(never.log.search()).rejects.toMatchObject({ code: "unauthenticated", retryable: true });
    }
  });

  test("a key that ends is renewed once for all who are refused with it", async () => {
    const server = new StreamServer();
    let valid = "Bearer key-1";
    server.answer = (url, request) => {
      if ((request.headers as Record<string, string>).authorization !== valid) {
        return problem(401, "unauthenticated");
      }
      return url.searchParams.get("q") === "now" ? Response.json({ events: [] }) : undefined;
    };
    let count = 0;
    const environment = new VirtualTime().environment(server.fetch);
    const apiKey = async () => {
      await new Promise<void>((resolve) => environment.setTimeout(resolve, 50));
      return `key-${++count}`;
    };
    const log = new AuditLog({ url: "http://log.test", apiKey, environment });
    const searches = (times: number) => Array.from({ length: times }, () => log.search({ filters: { q: "now" } }));
    const watches = Array.from({ length: 4 }, () => log.watch({}, { afterSeq: 0 }));
    const first = watches.map((watch) => watch.next());
    await Promise.all(searches(5));
    expect(count).toBe(1);
    valid = "Bearer key-2";
    server.open.forEach((stream) => stream.send("stop", { reason: "expired" }));
    await Promise.all(searches(10));
    expect(server.open.map(({ headers }) => headers.authorization)).toEqual(Array(4).fill(valid));
    server.open.forEach((stream) => stream.send("event", told(1), 1));
    expect((await Promise.all(first)).map(({ value }) => (value as { seq: number }).seq)).toEqual([1, 1, 1, 1]);
    await Promise.all(watches.map((watch) => watch.return()));
    expect(count).toBe(2);
  });

  test("the buffer has bounds, and says when it is full", async () => {
    const { server, log } = setUp({ batch: { maxBufferedEvents: 2 } });
    server.faults = ["lost"];
    const kept = [log.log({ action: "1" }), log.log({ action: "2" })];
    await expect(log.log({ action: "3" })).rejects.toMatchObject({ code: "buffer_full", retryable: true });
    // What would not fit into an empty one never will.
    await expect(log.logBulk([{ action: "a" }, { action: "b" }, { action: "c" }])).rejects.toMatchObject({ code: "buffer_full", retryable: false });
    expect(log.pendingCount).toBe(2);
    await Promise.all(kept);
    await log.log({ action: "4" });
    expect(server.events.map(({ action }) => action)).toEqual(["1", "2", "4"]);
    const small = setUp({ batch: { maxBufferedBytes: 200 } });
    await expect(small.log.log({ action: "ä€😀".repeat(50) })).rejects.toMatchObject({ code: "buffer_full", retryable: false });
  });

  test("close waits for what is on its way, gives up in time, and takes nothing more", async () => {
    const { server, log } = setUp({ retry: { maxAttempts: 1_000 } });
    const logged = log.log({ action: "a" });
    await log.close();
    await logged;
    await expect(log.log({ action: "b" })).rejects.toMatchObject({ code: "client_closed" });
    const stuck = setUp({ retry: { maxAttempts: 1_000 } });
    stuck.server.faults = Array<Fault>(1_000).fill("silent");
    const lost = stuck.log.log({ action: "a" });
    const told = expect(lost).rejects.toMatchObject({ code: "client_closed" });
    await stuck.log.close({ timeoutMs: 50_000 });
    await told;
    expect(server.events).toHaveLength(1);
  });
});

describe("upkeep", () => {
  const settings = {
    defaultRetentionDays: null, criticalRetentionDays: 365, rules: [],
    customRetention: [{ category: "c", retentionDays: null }],
    policy: { redactFields: [{ name: "email", mode: "hash" }], sampling: 0.5 },
  };

  test("the settings have the names that callers know", async () => {
    const { log, requests } = answering(json(settings));
    expect(await log.getConfig()).toEqual({
      defaultRetentionDays: null, criticalRetentionDays: 365, customRetention: [{ category: "c", retentionDays: null }],
      piiFieldsToRedact: ["email"], samplingEnabled: true, samplingRate: 0.5, settings,
    });
    await log.updateConfig({
      defaultRetentionDays: null, criticalRetentionDays: 5, customRetention: [], samplingEnabled: false, samplingRate: 0.1,
      piiFieldsToRedact: ["a", { name: "b", mode: "hash" }], settings: { policy: { ipAddress: "truncate" } },
    });
    await log.updateConfig({ samplingRate: 0.1 });
    await log.updateConfig({});
    const sent = () => requests.splice(0).filter(({ request }) => request.method !== "GET");
    expect(sent().map(({ request }) => [request.method, JSON.parse(String(request.body))])).toEqual([
      ["PATCH", {
        defaultRetentionDays: "forever", criticalRetentionDays: 5, customRetention: [],
        policy: { ipAddress: "truncate", sampling: 1, redactFields: [{ name: "a" }, { name: "b", mode: "hash" }] },
      }],
      ["PATCH", { policy: { sampling: 0.1 } }],
      ["PATCH", {}],
    ]);
    // A field that is only named stays hidden as it is.
    const { piiFieldsToRedact, ...config } = await log.getConfig();
    await log.updateConfig({ ...config, piiFieldsToRedact });
    await log.updateConfig({ piiFieldsToRedact: ["E-Mail", "phone"] });
    await log.updateConfig({ piiFieldsToRedact: [{ name: "email" }] });
    expect(sent().map(({ request }) => JSON.parse(String(request.body)).policy.redactFields)).toEqual([
      [{ name: "email", mode: "hash" }],
      [{ name: "E-Mail", mode: "hash" }, { name: "phone" }],
      [{ name: "email" }],
    ]);
  });

  test("what would be done twice is asked for once, and has its time", async () => {
    const works: [(log: AuditLog) => Promise<unknown>, number][] = [
      [(log) => log.cleanup(), 60 * 60_000],
      [(log) => log.erase({ subject: { actor: "u" }, reason: "r" }), 60 * 60_000],
      [(log) => log.generateReport({ format: "html" }), 5 * 60_000],
      [(log) => log.streamReport({ format: "csv" }), 5 * 60_000],
    ];
    for (const [work, ms] of works) {
      const broken = answering(() => Promise.reject(new TypeError("terminated")));
      await expect(work(broken.log)).rejects.toMatchObject({ code: "network" });
      expect(broken.requests).toHaveLength(1);
      const silent = answering(silence);
      const from = silent.time.now;
      await expect(work(silent.log)).rejects.toMatchObject({ code: "timeout" });
      expect(silent.time.now - from).toBe(ms);
      expect(silent.requests).toHaveLength(1);
      const patient = answering(silence, { timeoutMs: 2 * 60 * 60_000 });
      const start = patient.time.now;
      await expect(work(patient.log)).rejects.toMatchObject({ code: "timeout" });
      expect(patient.time.now - start).toBe(2 * 60 * 60_000);
      // A request whose key was refused did nothing yet.
      let count = 0;
      const refused = answering(() => (count < 2 ? problem(401, "unauthenticated") : Response.json({ removed: 1 })), { apiKey: () => `k-${++count}` });
      await work(refused.log);
      expect(refused.requests).toHaveLength(2);
    }
  });

  test("what is no answer to it is an error", async () => {
    const { log } = answering(json({}));
    await expect(log.getConfig()).rejects.toMatchObject({ code: "bad_answer" });
    await expect(log.cleanup()).rejects.toMatchObject({ code: "bad_answer" });
  });
});

describe("asking", () => {
  const record = {
    id: "e-1", seq: 7, timestamp: 5, recordedAt: 6, action: "a", severity: "info",
    diff: [{ op: "replace", path: "/n", old: 1, value: 2 }],
  };

  test("questions become addresses", async () => {
    const { log, requests } = answering(json({ events: [record], hasMore: true, nextCursor: "c" }));
    await log.queryByResource({ resourceType: "a:b", resourceId: "c\\d", limit: 5, fromTimestamp: 0 });
    await log.queryByActor({ actorId: "u&1", actions: ["x", "y"] });
    await log.queryBySeverity({ severity: ["error", "critical"] });
    await log.queryByAction({ action: "user.*" });
    await log.watchCritical();
    await log.search({ filters: { severity: ["info"], tags: ["t"], q: "since:7d", resource: { type: "r", id: "1" } }, pagination: { limit: 9, cursor: "c 1" } });
    expect(requests.map(({ url }) => decodeURIComponent(url.replace("http://log.test/v1/events?", "")).replaceAll("+", " "))).toEqual([
      "fromTimestamp=0&limit=5&resource=a\\:b:c\\\\d",
      "actions=x&actions=y&actorIds=u&1",
      "severities=error&severities=critical",
      "actions=user.*",
      "limit=20&severities=error&severities=critical",
      "cursor=c 1&limit=9&q=since:7d&resource=r:1&severities=info&tagsAny=t",
    ]);
  });

  test("an actor or an action that is not known is an error, and not everybody's events", async () => {
    const { log, requests } = answering(json({ events: [record] }));
    const unknown = undefined as never;
    for (const asked of [
      log.queryByActor({ actorId: unknown }),
      log.queryByActor({ actorId: "u", actions: ["a", unknown] }),
      log.queryByAction({ action: unknown }),
      log.search({ filters: { tenant: "t", actorIds: [null as never] } }),
      log.watch({ actorIds: [unknown] }).next(),
    ]) {
      await expect(asked).rejects.toMatchObject({ code: "invalid_argument" });
    }
    expect(requests).toEqual([]);
  });

  test("no severity selects no event", async () => {
    const { log, requests } = answering(json({ events: [record] }));
    expect(await log.queryBySeverity({ severity: [] })).toEqual([]);
    expect(await log.watchCritical({ severity: [] })).toEqual([]);
    expect(requests).toEqual([]);
  });

  test("a cursor goes back as it came (cursor.json)", async () => {
    const { cases, refused } = vectors("cursor.json");
    for (const { name, cursor } of cases) {
      const { log, requests } = answering(json({ events: [record], hasMore: true, nextCursor: cursor }));
      const page = await log.search({ filters: {} });
      await log.search({ filters: {}, pagination: { limit: 1, cursor: page.cursor } });
      expect(requests[1]!.url, name).toBe(`http://log.test/v1/events?cursor=${cursor}&limit=1`);
    }
    for (const { name, cursor } of refused.cursors) {
      const refusal = { status: 400, code: "invalid_argument", pointer: "/cursor", title: "t", detail: "d" };
      const { log, requests } = answering(() => Response.json(refusal, { status: 400 }));
      const searched = log.search({ filters: {}, pagination: { limit: 1, cursor } });
      await expect(searched, name).rejects.toMatchObject({ code: "invalid_argument", pointer: "/cursor" });
      expect(new URL(requests[0]!.url).searchParams.get("cursor"), name).toBe(cursor);
    }
  });

  test("answers become what callers know", async () => {
    const { log } = answering(json({ events: [record], hasMore: true, nextCursor: "c" }));
    const page = await log.search({ filters: {}, pagination: { limit: 1 } });
    expect(page).toMatchObject({ cursor: "c", hasMore: true });
    expect(page.items[0]).toEqual({
      id: "e-1", _id: "e-1", seq: 7, timestamp: 5, recordedAt: 6, _creationTime: 6, action: "a", severity: "info",
      diff: "~ n: 1 → 2", changes: record.diff,
    });
  });

  test("statistics, anomalies", async () => {
    const bySeverity = { info: 1, warning: 0, error: 0, critical: 0 };
    const stats = answering(json({ total: 1, bySeverity, topActions: [{ value: "a", count: 1 }], topActors: [{ value: "u", count: 1 }], bucketMs: 1, series: [] }));
    expect(await stats.log.getStats({ fromTimestamp: 1 })).toEqual({
      totalCount: 1, bySeverity, topActions: [{ action: "a", count: 1 }], topActors: [{ actorId: "u", count: 1 }], bucketMs: 1, series: [],
    });
    const last = { id: "e", seq: 1, timestamp: 9 };
    const found = answering(json({ total: 1, findings: [{ rule: "a (2)", count: 5, threshold: 3, windowMs: 60_000, first: last, last, ids: ["e"] }] }));
    const patterns = [{ action: "a", threshold: 9, windowMinutes: 5 }, { action: "a", threshold: 3, windowMinutes: 1, groupBy: "actor" as const }];
    expect(await found.log.detectAnomalies(patterns)).toEqual([
      { action: "a", count: 5, threshold: 3, windowMinutes: 1, detectedAt: 9, name: "a (2)", ids: ["e"] },
    ]);
    expect(JSON.parse(String(found.requests[0]!.request.body))).toEqual({
      rules: [
        { name: "a", action: "a", threshold: 9, windowMs: 300_000 },
        { name: "a (2)", action: "a", threshold: 3, windowMs: 60_000, groupBy: "actor" },
      ],
      standing: true,
    });
  });

  test("reports say what they hold", async () => {
    const csv = 'seq,text\r\n0,"two\r\nlines ""quoted"""\r\n1,x\r\n';
    const report = await answering(() => new Response(csv)).log.generateReport({ startDate: 1, endDate: 2, format: "csv", includeFields: ["seq"], groupBy: "seq" });
    expect(report).toMatchObject({ format: "csv", data: csv, recordCount: 2 });
    const text = '{"generatedAt":5,"range":{},"rows":[\n\n],"recordCount":0}\n';
    expect(await answering(() => new Response(text)).log.generateReport({ format: "json" })).toMatchObject({ generatedAt: 5, recordCount: 0 });
    const lines = '{"report":{"generatedAt":7}}\n{"end":{"recordCount":12}}\n';
    expect(await answering(() => new Response(lines)).log.generateReport({ format: "ndjson" })).toMatchObject({ generatedAt: 7, recordCount: 12 });
    expect(await answering(() => new Response("<p>")).log.generateReport({ format: "html" })).toMatchObject({ recordCount: undefined });
    // What ends before its end is no report.
    for (const [format, cut] of [["json", '{"generatedAt":5,"rows":[\n{"seq":0}'], ["ndjson", '{"report":{}}\n{"seq":0}\n'], ["csv", ""]] as const) {
      await expect(answering(() => new Response(cut)).log.generateReport({ format })).rejects.toMatchObject({ code: "bad_answer" });
    }
  });

  test("a report as a stream ends with its signal, and lets go of it", async () => {
    const pieces = (then: "end" | "fail" | "wait") => answering(({ signal }) => saying("seq\r\n0\r\n", then, signal)).log;
    const end = new AbortController();
    const listening = () => getEventListeners(end.signal, "abort").length;
    const report = (then: "end" | "fail" | "wait") => pieces(then).streamReport({ format: "csv" }, end.signal);
    expect(await new Response(await report("end")).text()).toBe("seq\r\n0\r\n");
    await (await report("wait")).cancel();
    const reader = (await report("fail")).getReader();
    await reader.read();
    await expect(reader.read()).rejects.toMatchObject({ code: "network" });
    // One that pauses for too long is given up as well.
    const silent = (await report("wait")).getReader();
    await silent.read();
    await expect(silent.read()).rejects.toMatchObject({ code: "timeout" });
    expect(listening()).toBe(0);
    const aborted = (await report("wait")).getReader();
    await aborted.read();
    expect(listening()).toBe(1);
    end.abort();
    await expect(aborted.read()).rejects.toMatchObject({ code: "aborted" });
    expect(listening()).toBe(0);
    await expect(report("end")).rejects.toMatchObject({ code: "aborted" });
  });

  test("an answer without end is an error that says so, and is not asked for again", async () => {
    const piece = new Uint8Array(1 << 25).fill(0x20);
    const endless = () => new Response(new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(piece) }, { highWaterMark: 0 }));
    const { log, requests } = answering(endless);
    await expect(log.getProof("e-1")).rejects.toMatchObject({ code: "bad_answer", retryable: false });
    expect(requests).toHaveLength(1);
  });

  test("what is not there is null, and what is no answer is an error", async () => {
    expect(await answering(() => problem(404, "not_found")).log.get("e/1")).toBeNull();
    await expect(answering(() => problem(404, "no_route")).log.get("e")).rejects.toMatchObject({ code: "no_route", status: 404 });
    await expect(answering(json([])).log.search()).rejects.toMatchObject({ code: "bad_answer" });
    await expect(answering(json({ id: 1 })).log.get("e")).rejects.toMatchObject({ code: "bad_answer" });
    await expect(answering(() => new Response("<p>")).log.getStats()).rejects.toMatchObject({ code: "bad_answer" });
    await expect(answering(json({})).log.mintToken({ scope: { tenant: "t" } })).rejects.toBeInstanceOf(SealogError);
  });

  test("a question is asked again while that may help, and not when it cannot", async () => {
    let count = 0;
    const { log } = answering(() => (++count < 3 ? problem(503, "busy") : Response.json({ events: [] })));
    expect(await log.queryByAction({ action: "a" })).toEqual([]);
    // What took too long would take as long again.
    for (const [status, code] of [[400, "invalid_argument"], [503, "timed_out"]] as const) {
      const wrong = answering(() => problem(status, code));
      await expect(wrong.log.search()).rejects.toMatchObject({ code });
      expect(wrong.requests).toHaveLength(1);
    }
  });
});

describe("watching", () => {
  const event = (seq: number) => frameText("event", told(seq), seq);

  test("nothing is lost when the server stops in the same piece in which it tells, however slow the loop is", async () => {
    const stop = frameText("stop", { reason: "shutdown" });
    let count = 0;
    const { log, time } = answering(({ signal }) => saying(event(++count) + stop, "wait", signal));
    const environment = time.environment(fetch);
    const seqs: number[] = [];
    for await (const { seq } of log.watch({}, { afterSeq: 0 })) {
      seqs.push(seq);
      await new Promise<void>((resolve) => environment.setTimeout(resolve, seq === 1 ? 60_000 : 0));
      if (seq >= 4) {
        break;
      }
    }
    expect(seqs).toEqual([1, 2, 3, 4]);
  });

  test("what was told is given before what went wrong", async () => {
    for (const [last, code] of [
      [frameText("stop", { reason: "expired" }), "unauthenticated"],
      [frameText("error", { status: 400, code: "invalid_argument" }), "invalid_argument"],
      [frameText("event", { no: "event" }, 3), "bad_answer"],
      ["id: 3\nevent: event\ndata: no JSON\n\n", "bad_answer"],
    ] as const) {
      const { log } = answering(({ signal }) => saying(event(1) + event(2) + last, "wait", signal));
      const watch = log.watch({}, { afterSeq: 0 });
      expect(await watch.next()).toMatchObject({ value: { seq: 1 } });
      expect(await watch.next()).toMatchObject({ value: { seq: 2 } });
      await expect(watch.next()).rejects.toMatchObject({ code });
    }
  });
});
