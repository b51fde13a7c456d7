// The client against the program that users run.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AuditLog, verifyProof, type AuditLogEntry, type AuditLogOptions } from "../../src/index.js";
import { createAuditLogApi, type AuditLogApiOptions } from "../../src/react/index.js";
import { matchers, recordingLog } from "../../src/testing/index.js";
import type { LiveResult } from "../../src/react/streams.js";
import type { QuestionName } from "../../src/wire.js";
import { BadLine, RealServer, type LineFault } from "../server.js";

let server: RealServer;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  server = await RealServer.start();
});

afterAll(async () => {
  await Promise.all(open.map((each) => each.close()));
  await server.close();
});

function client(options: Partial<AuditLogOptions> = {}): AuditLog {
  const log = new AuditLog({ url: server.url, apiKey: server.adminKey, ...options });
  open.push(log);
  return log;
}

/** All events of an action that the log holds, by pages, the oldest first. */
async function all(log: AuditLog, actions: string[]): Promise<AuditLogEntry[]> {
  const found: AuditLogEntry[] = [];
  let cursor: string | null = null;
  do {
    const page = await log.search({ filters: { actions }, pagination: { limit: 97, cursor } });
    found.push(...page.items);
    ({ cursor } = page);
  } while (cursor !== null);
  return found.reverse();
}

/** A live answer as hooks get it. */
function live(name: QuestionName, args: unknown, options: Partial<AuditLogApiOptions>) {
  const api = createAuditLogApi({ url: server.url, token: server.adminKey, lingerMs: 0, ...options });
  const stream = api[name].streams.stream(api[name].streams.ask(name, args));
  const seen: LiveResult<unknown>[] = [];
  const stop = stream.subscribe(() => seen.push(stream.result()));
  open.push({ close: async () => stop() });
  return { seen, stop, result: () => stream.result(), events: () => (stream.result().data as AuditLogEntry[] | undefined) ?? [] };
}

async function until(holds: () => boolean, what: string, ms = 30_000): Promise<void> {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) {
      throw new Error(`not in time: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const range = (count: number) => [...Array(count).keys()];

describe("everything the client can ask", () => {
  test("an event, a change, a bulk, and all questions", async () => {
    const log = client({ piiFields: ["email"] });
    const start = Date.now();
    const id = await log.log({ action: "ask.login", actorId: "ada", ipAddress: "203.0.113.9", tags: ["x"], severity: "error" });
    const receipt = await log.logWithReceipt({
      action: "ask.changed",
      actorId: "ada",
      resourceType: "user:a",
      resourceId: "b\\c",
      before: { email: "a@example.com", plan: "free" },
      after: { email: "b@example.com", plan: "team" },
    });
    const bulk = await log.logBulk([{ action: "ask.bulk" }, { action: "ask.bulk", severity: "critical", actorId: "eve" }]);
    expect(bulk).toHaveLength(2);
    expect(receipt.seq).toBeGreaterThan(0);

    const entry = await log.get(id);
    expect(entry).toMatchObject({ _id: id, id, action: "ask.login", actorId: "ada", severity: "error", tags: ["x"] });
    expect(entry!._creationTime).toBeGreaterThanOrEqual(start - 1_000);
    expect(await log.get("nobody's")).toBeNull();
    const [changed] = await log.queryByResource({ resourceType: "user:a", resourceId: "b\\c" });
    expect(changed).toMatchObject({ seq: receipt.seq, before: { email: "[REDACTED]", plan: "free" } });
    expect(changed!.diff).toBe('~ plan: "free" → "team"\n~ email: "[REDACTED]" → "[REDACTED]"');
    expect((await log.queryByActor({ actorId: "ada", actions: ["ask.*"] })).map(({ action }) => action)).toEqual(["ask.changed", "ask.login"]);
    expect((await log.queryByActor({ actorId: "ada", limit: 1 })).map(({ action }) => action)).toEqual(["ask.changed"]);
    expect((await log.queryBySeverity({ severity: ["critical"] })).map(({ actorId }) => actorId)).toEqual(["eve"]);
    expect((await log.queryByAction({ action: "ask.bulk" })).map(({ _id }) => _id).sort()).toEqual([...bulk].sort());
    expect((await log.watchCritical({ limit: 5 })).map(({ severity }) => severity)).toEqual(["critical", "error"]);
    const found = await log.search({ filters: { q: 'action:ask.* "team"', tags: undefined }, pagination: { limit: 5 } });
    expect(found).toMatchObject({ hasMore: false, cursor: null, items: [{ action: "ask.changed" }] });

    const stats = await log.getStats({ actions: ["ask.*"], fromTimestamp: start - 1_000 });
    expect(stats).toMatchObject({ totalCount: 4, bySeverity: { info: 2, warning: 0, error: 1, critical: 1 } });
    expect(stats.topActors[0]).toEqual({ actorId: "ada", count: 2 });
    expect(stats.series.length).toBeGreaterThan(0);

    const patterns = [
      { action: "ask.bulk", threshold: 2, windowMinutes: 5 },
      { action: "ask.bulk", threshold: 3, windowMinutes: 5 },
      { action: "ask.login", threshold: 1, windowMinutes: 1, groupBy: "actor" as const, filter: { severity: ["error" as const] } },
    ];
    const anomalies = await log.detectAnomalies(patterns);
    expect(anomalies.map(({ action, count, group }) => [action, count, group]).sort()).toEqual([["ask.bulk", 2, undefined], ["ask.login", 1, "ada"]]);
    await expect(log.detectAnomalies([{ action: "a", threshold: 0, windowMinutes: 1 }])).rejects.toMatchObject({ code: "invalid_argument", status: 400 });
  });

  test("reports in each format, in groups, and as a stream", async () => {
    const log = client();
    await log.logBulk(range(30).map((n) => ({ action: "report.row", actorId: `u-${n % 3}`, metadata: { text: `"a"\n,b ${n}` } })));
    const filters = { actions: ["report.row"] };
    const json = await log.generateReport({ startDate: 0, endDate: Date.now() + 1_000, format: "json", filters });
    expect(json.recordCount).toBe(30);
    expect((JSON.parse(json.data) as { rows: unknown[] }).rows).toHaveLength(30);
    expect(Math.abs(json.generatedAt - Date.now())).toBeLessThan(60_000);
    const csv = await log.generateReport({ format: "csv", filters, includeFields: ["timestamp", "action", "metadata.text"] });
    expect(csv.recordCount).toBe(30);
    expect(csv.data.split("\r\n")[0]).toBe("timestamp,action,metadata.text");
    const lines = await log.generateReport({ format: "ndjson", filters, groupBy: "actorId" });
    expect([lines.recordCount, lines.data.match(/"group":/g)?.length]).toEqual([30, 3]);
    const page = await log.generateReport({ format: "html", filters });
    expect(page.data).toContain("<html");
    let bytes = 0;
    for await (const piece of (await log.streamReport({ format: "csv", filters })) as unknown as AsyncIterable<Uint8Array>) {
      bytes += piece.length;
    }
    expect(bytes).toBeGreaterThan(500);
    await expect(log.generateReport({ format: "xml" as never })).rejects.toMatchObject({ code: expect.any(String), status: 400 });
  });

  test("a proof holds by the log's vkey, and not by another's", async () => {
    const log = client();
    const { id, seq } = await log.logWithReceipt({ action: "proof.it", metadata: { n: 1.5 } });
    const vkey = server.run("key", "show").trim();
    const shown = await verifyProof(await log.getProof(id), vkey);
    expect(shown).toMatchObject({ seq, event: { id, action: "proof.it" } });
    const other = recordingLog();
    expect(matchers.toHaveLogged(other, {}).pass).toBe(false);
    await expect(verifyProof(await log.getProof(id), "example.com/log+285dc161+Af+HoLCjx8DOgn6craX/eedaRKBjO/y1tQ+ZMH3bJrM3")).rejects.toMatchObject({ code: "invalid_proof" });
    await expect(log.getProof("nobody's")).rejects.toMatchObject({ code: "not_found" });
  });

  test("an id is one event, and what is wrong says where", async () => {
    const log = client();
    const event = { id: "same-1", action: "same", timestamp: 5 };
    await log.log(event);
    expect(await log.logWithReceipt(event)).toMatchObject({ id: "same-1", existed: true });
    await expect(log.log({ ...event, action: "other" })).rejects.toMatchObject({ code: "id_conflict", status: 409, pointer: "/id" });
    await expect(log.log({ action: "sealog.read" })).rejects.toMatchObject({ code: "reserved_action", pointer: "/action" });
    await expect(log.log({ action: "x".repeat(300) })).rejects.toMatchObject({ code: "limit_exceeded", pointer: "/action" });
    await expect(log.logBulk([{ action: "bulk.never" }, { action: "" }])).rejects.toMatchObject({ code: "invalid_event" });
    expect(await log.queryByAction({ action: "bulk.never" })).toEqual([]);
    const [well, tooLarge, after] = await Promise.allSettled([
      log.log({ action: "large.before" }),
      log.log({ action: "large", metadata: { text: "x".repeat(5_000_000) } }),
      log.log({ action: "large.after" }),
    ]);
    expect([well.status, tooLarge.status, after.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
    await expect(client({ apiKey: "sealog_0_x" }).search()).rejects.toMatchObject({ code: "unauthenticated", status: 401 });
  });
});

test("settings, clean-ups, holds and erasures", async () => {
  const log = client();
  const before = await log.getConfig();
  expect(before).toMatchObject({ defaultRetentionDays: 90, criticalRetentionDays: 365, samplingRate: 1, piiFieldsToRedact: [] });
  const options = { defaultRetentionDays: null, customRetention: [{ category: "short", retentionDays: 1 }], piiFieldsToRedact: ["nickname"] };
  expect(await log.updateConfig(options)).toMatchObject(options);
  expect(await log.updateConfig({ samplingRate: 0.5 })).toMatchObject({ ...options, samplingRate: 0.5, samplingEnabled: true });
  expect(await log.updateConfig({ samplingEnabled: false })).toMatchObject({ ...options, samplingRate: 1 });
  await expect(log.updateConfig({ defaultRetentionDays: 0 })).rejects.toMatchObject({ code: "invalid_argument", pointer: "/defaultRetentionDays" });
  const hashed = await log.updateConfig({ piiFieldsToRedact: [{ name: "nickname", mode: "hash" }] });
  const { settings } = await log.updateConfig({ ...hashed, criticalRetentionDays: 400 });
  expect(settings).toEqual({ ...hashed.settings, criticalRetentionDays: 400 });
  await log.updateConfig({ ...options, criticalRetentionDays: 365, piiFieldsToRedact: [{ name: "nickname" }] });
  const id = await log.log({ action: "keep.named", metadata: { nickname: "z" } });
  expect((await log.get(id))!.metadata).toEqual({ nickname: "[REDACTED]" });

  // Only what this test logged, however old it is.
  const kept = { olderThanDays: 0, retentionCategory: "kept", preserveSeverity: ["critical" as const] };
  await log.logBulk(range(6).map((n) => ({ action: "keep.old", actorId: `k-${n}`, retentionCategory: "kept", severity: n < 2 ? ("critical" as const) : ("info" as const) })));
  const hold = await log.placeHold({ filter: { actorIds: ["k-5"] }, reason: "case 7" });
  expect((await log.listHolds()).map((held) => held.id)).toEqual([hold.id]);
  expect(await log.cleanup({ ...kept, dryRun: true })).toBe(3);
  expect(await log.cleanup({ ...kept, batchSize: 2 })).toBe(3);
  expect(await log.cleanup(kept)).toBe(0);
  await log.liftHold(hold.id, "closed");
  expect(await log.listHolds()).toEqual([]);
  expect(await log.erase({ subject: { actor: "k-0" }, reason: "gdpr-17" })).toMatchObject({ removed: 1 });
  expect((await log.queryByAction({ action: "keep.old" })).map(({ actorId }) => actorId).sort()).toEqual(["k-1", "k-5"]);
  await log.updateConfig({ defaultRetentionDays: 90, customRetention: [], piiFieldsToRedact: [] });
  server.run("verify");
});

describe("when things go wrong", () => {
  test("nothing is lost or doubled while the server is killed and started again, and a watcher sees it all once", async () => {
    const log = client({ retry: { maxAttempts: 60, baseMs: 50, maxMs: 500 } });
    const { seq: from } = await log.logWithReceipt({ action: "crash.begin" });
    const end = new AbortController();
    const watched: AuditLogEntry[] = [];
    const watching = (async () => {
      for await (const entry of log.watch({ actions: ["crash.*"] }, { afterSeq: from!, signal: end.signal })) {
        watched.push(entry);
      }
    })();
    const list = live("search", { filters: { actions: ["crash.*"] }, pagination: { limit: 5 } }, {});

    const ids: string[] = [];
    let isOver = false;
    const logging = range(4).map(async (writer) => {
      for (let n = 0; !isOver || n < 20; n++) {
        ids.push(...(n % 5 === 0 ? await log.logBulk(range(3).map(() => ({ action: "crash.bulk", actorId: String(writer) }))) : [await log.log({ action: "crash.one", metadata: { n, writer } })]));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
      await new Promise((resolve) => setTimeout(resolve, 400));
      await server.kill(signal);
      await new Promise((resolve) => setTimeout(resolve, 200));
      await server.start();
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    isOver = true;
    await Promise.all(logging);

    const logged = [...ids].sort();
    expect(new Set(logged).size).toBe(logged.length);
    expect(logged.length).toBeGreaterThan(80);
    expect((await all(log, ["crash.one", "crash.bulk"])).map(({ id }) => id).sort()).toEqual(logged);
    await until(() => watched.length >= logged.length, `${watched.length} of ${logged.length} watched`);
    end.abort();
    await watching;
    expect(watched.map(({ id }) => id).sort()).toEqual(logged);
    expect(watched.map(({ seq }) => seq)).toEqual([...watched.map(({ seq }) => seq)].sort((a, b) => a - b));

    const shown = () => (list.result().data as { events: AuditLogEntry[] } | undefined)?.events ?? [];
    await until(() => list.result().status === "live" && shown().length > logged.length, "the live search");
    expect(shown().map(({ id }) => id).sort()).toEqual((await all(log, ["crash.*"])).map(({ id }) => id).sort());
    expect(list.seen.map(({ status }) => status)).toContain("reconnecting");
    list.stop();
    server.run("verify");
  });

  test("a line that is slow, wrong, broken or silent loses nothing and doubles nothing", async () => {
    const line = await BadLine.to(() => server.url);
    open.push(line);
    const log = client({ url: line.url, timeoutMs: 400, retry: { maxAttempts: 40, baseMs: 5, maxMs: 50 }, batch: { maxBatchEvents: 7 } });
    const kinds: LineFault[] = ["slow", "silent", "reset before", "reset after", "cut", "page", "gateway", "wrong json", "twice", "none"];
    line.faults = range(60).map((n) => kinds[(n * 7 + (n >> 2)) % kinds.length]!);
    const ids = (
      await Promise.all(
        range(200).map(async (n) => {
          await new Promise((resolve) => setTimeout(resolve, n));
          return n % 10 === 0 ? log.logBulk([{ action: "line.bulk" }, { action: "line.bulk" }]) : [await log.log({ action: "line.one" })];
        }),
      )
    ).flat();
    expect(ids).toHaveLength(220);
    const direct = client();
    expect((await all(direct, ["line.*"])).map(({ id }) => id).sort()).toEqual([...ids].sort());
    // Questions as well.
    line.faults = ["gateway", "silent", "cut", "page", "reset before"];
    expect((await log.getStats({ actions: ["line.*"] })).totalCount).toBe(220);
    // And streams.
    line.faults = ["gateway", "page", "reset before", "cut"];
    const shown = live("queryByAction", { action: "line.late", limit: 5 }, { url: line.url, timeoutMs: 400, environment: { random: () => 0 } });
    await direct.log({ action: "line.late" });
    await until(() => shown.events().length === 1, "the stream behind the bad line");
    shown.stop();
  });

  test("a watch ends with its signal or its loop, and says when it cannot go on", async () => {
    const log = client();
    const bad = client({ apiKey: "sealog_0_x" });
    await expect(bad.watch().next()).rejects.toMatchObject({ code: "unauthenticated", status: 401 });
    await expect(log.watch({ actions: ["*"] }).next()).rejects.toMatchObject({ code: "invalid_argument", status: 400 });
    const signal = AbortSignal.timeout(100);
    expect(await log.watch({ actions: ["watch.never"] }, { signal }).next()).toEqual({ done: true, value: undefined });
    expect(await log.watch({}, { signal }).next()).toEqual({ done: true, value: undefined });
    // From now on, and from where it was left.
    const watch = log.watch({ actions: ["watch.me"] });
    const first = watch.next();
    const ids: string[] = [];
    const logging = setInterval(() => void log.log({ action: "watch.me" }).then((id) => ids.push(id)), 50);
    const { value } = (await first) as { value: AuditLogEntry };
    clearInterval(logging);
    await watch.return();
    await log.flush();
    await log.logBulk(range(700).map(() => ({ action: "watch.me" })));
    const rest: AuditLogEntry[] = [];
    for await (const entry of log.watch({ actions: ["watch.me"] }, { afterSeq: value.seq })) {
      rest.push(entry);
      if (rest.length % 100 === 0) {
        // Whoever is slow loses nothing.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      if (rest.length >= 700 + ids.length - ids.indexOf(value.id) - 1) {
        break;
      }
    }
    expect(new Set(rest.map(({ seq }) => seq)).size).toBe(rest.length);
    expect(rest.every(({ seq }, at) => seq > (rest[at - 1]?.seq ?? value.seq))).toBe(true);
  });

  test("no server at all is an error that says so", async () => {
    const log = new AuditLog({ url: "http://127.0.0.1:9", retry: { maxAttempts: 2, baseMs: 1 }, timeoutMs: 500 });
    await expect(log.log({ action: "a" })).rejects.toMatchObject({ code: "network", retryable: true });
    await expect(log.search()).rejects.toMatchObject({ code: "network" });
    await log.close();
  });

  test("a token that ends is renewed, and the stream goes on where it was", async () => {
    const log = client();
    let minted = 0;
    const token = async () => {
      minted++;
      return (await log.mintToken({ scope: { actions: ["token.*"] }, ttlMs: 700, subject: "u-1" })).token;
    };
    const shown = live("search", { filters: { actions: ["token.tick"] } }, { token });
    const events = () => (shown.result().data as { events: AuditLogEntry[] } | undefined)?.events ?? [];
    await until(() => shown.result().data !== undefined, "the first page");
    const ids: string[] = [];
    for (let n = 0; n < 30; n++) {
      ids.push(await log.log({ action: "token.tick" }));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await until(() => events().length === 30, `${events().length} of 30 events`);
    expect(events().map(({ id }) => id).reverse()).toEqual(ids);
    expect(minted).toBeGreaterThan(1);
    shown.stop();
  });

  test("a tenant's viewer never sees another's events: not live, not in pages, not in counts", async () => {
    const log = client();
    const log50 = (tenant: string) => log.logBulk(range(50).map((n) => ({ action: "tenant.did", tenant, actorId: `${tenant}-${n}`, severity: "critical" as const })));
    await log50("acme");
    await log50("globex");
    const { token } = await log.mintToken({ scope: { tenant: "acme" }, subject: "viewer" });
    const viewers = [
      live("search", { filters: {}, pagination: { limit: 20 } }, { token }),
      live("search", { filters: { tenant: "globex" } }, { token }),
      live("watchCritical", { limit: 500 }, { token }),
      live("getStats", { actions: ["tenant.did"] }, { token }),
      live("detectAnomalies", { patterns: [{ action: "tenant.did", threshold: 1, windowMinutes: 5, groupBy: "actor" }] }, { token }),
    ] as const;
    await until(() => viewers.every((viewer) => viewer.result().data !== undefined), "all first answers");
    await log50("globex");
    await log50("acme");
    await until(() => (viewers[3].result().data as { totalCount: number }).totalCount === 100, "the count of one tenant");
    await until(() => viewers[2].events().length === 100, "the events of one tenant");
    expect(viewers[1].result().data).toMatchObject({ events: [] });
    for (const viewer of viewers) {
      expect(JSON.stringify(viewer.seen)).not.toContain("globex-");
      viewer.stop();
    }
    const reader = client({ apiKey: token });
    const readable = await all(reader, []);
    expect(readable).toHaveLength(100);
    expect(readable.every(({ tenant }) => tenant === "acme")).toBe(true);
    await expect(reader.log({ action: "a" })).rejects.toMatchObject({ code: "forbidden", status: 403 });
  });

  test("statistics are live", async () => {
    const log = client();
    const shown = live("getStats", { actions: ["live.stats"] }, {});
    await until(() => shown.result().data !== undefined, "the first statistics");
    for (const count of [1, 2, 3]) {
      await log.log({ action: "live.stats" });
      await until(() => (shown.result().data as { totalCount: number }).totalCount === count, "the next statistics");
    }
    shown.stop();
  });
});
