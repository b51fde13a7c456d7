// What browsers may call, and who may.
import { anyApi } from "convex/server";
import { expect, test } from "vitest";
import { exposeAuditLogApi, exposeSealogApi, type Operation } from "../../src/client/index.js";
import { app, components, inside } from "../app.js";

const asked: Operation[] = [];
const options = {
  piiFields: ["email"],
  auth: async (ctx: { auth: { getUserIdentity(): Promise<{ subject: string } | null> } }, operation: Operation) => {
    asked.push(operation);
    const user = await ctx.auth.getUserIdentity();
    if (!user || (operation.type === "admin" && user.subject !== "root")) {
      throw new Error("Unauthorized");
    }
    return user.subject;
  },
};
const audit = exposeAuditLogApi(components.auditLog, options);
const history = exposeSealogApi(components.auditLog, options);

const READS: Record<string, object> = {
  queryByResource: { resourceType: "note", resourceId: "n-1" },
  queryByActor: { actorId: "ada", actions: ["note.read"] },
  queryBySeverity: { severity: ["info"] },
  queryByAction: { action: "note.read" },
  watchCritical: { severity: ["info"], limit: 5 },
  search: { filters: { actorIds: ["ada"] }, pagination: { limit: 5 } },
  get: { id: "x" },
  getStats: {},
  detectAnomalies: { patterns: [{ action: "note.read", threshold: 1, windowMinutes: 5 }] },
  generateReport: { startDate: 0, endDate: Number.MAX_SAFE_INTEGER, format: "csv" },
  getConfig: {},
  coverage: {},
  forwardingStatus: {},
};

test("everything is asked for first, and nothing else can be called", async () => {
  const { t } = app({}, { audit, history });
  expect(Object.keys(audit).sort()).toEqual([...Object.keys(READS), "log", "cleanup"].sort());
  for (const [name, args] of Object.entries(READS)) {
    asked.length = 0;
    await expect(t.query(anyApi.audit![name] as any, args), name).rejects.toThrow("Unauthorized");
    expect(asked).toEqual([{ type: "read", name, args }]);
  }
  const rows = { log: { event: { action: "note.read" } }, cleanup: { olderThanDays: 1 } };
  for (const [name, args] of Object.entries(rows)) {
    asked.length = 0;
    await expect(t.mutation(anyApi.audit![name] as any, args), name).rejects.toThrow("Unauthorized");
    expect(asked).toEqual([{ type: name === "log" ? "write" : "admin", name, args }]);
  }
  const { getConfig: _, coverage: __, forwardingStatus: ___, ...questions } = READS;
  expect(Object.keys(history).sort()).toEqual([...Object.keys(questions), "getProof"].sort());
  for (const [name, args] of Object.entries({ ...questions, getProof: { id: "x" } })) {
    asked.length = 0;
    await expect(t.action(anyApi.history![name] as any, args), name).rejects.toThrow("Unauthorized");
    expect(asked).toEqual([{ type: "read", name, args }]);
  }
});

test("those who may are answered", async () => {
  const { t, log, run } = app({}, { audit, history });
  const ada = t.withIdentity({ subject: "ada" });
  const api = anyApi.audit as any;
  const id = await ada.mutation(api.log, {
    event: { action: "note.read", resourceType: "note", resourceId: "n-1", metadata: { email: "a@b" } },
  });
  const event = await run((ctx) => log.get(ctx, id));
  expect(event).toMatchObject({ action: "note.read", actorId: "ada", metadata: { email: "[REDACTED]" } });
  for (const name of ["queryByResource", "queryByActor", "queryBySeverity", "queryByAction", "watchCritical"]) {
    expect(await ada.query(api[name], READS[name]), name).toEqual([event]);
  }
  expect(await ada.query(api.search, READS.search)).toEqual({ items: [event], cursor: null, hasMore: false, complete: true });
  expect(await ada.query(api.get, { id })).toEqual(event);
  expect(await ada.query(api.getStats, {})).toMatchObject({ totalCount: 1, complete: true });
  expect(await ada.query(api.detectAnomalies, READS.detectAnomalies)).toMatchObject([{ count: 1 }]);
  expect(await ada.query(api.generateReport, READS.generateReport)).toMatchObject({ recordCount: 1, truncated: false });
  expect(await ada.query(api.getConfig, {})).toBeNull();
  expect(await ada.query(api.coverage, {})).toBeNull();
  expect(await ada.query(api.forwardingStatus, {})).toMatchObject({ state: "off" });
  await expect(ada.mutation(api.cleanup, { olderThanDays: 1 })).rejects.toThrow("Unauthorized");
  expect(await t.withIdentity({ subject: "root" }).mutation(api.cleanup, { olderThanDays: 1 })).toBe(0);
  // Without a server there is nobody who could answer.
  await expect(ada.action((anyApi.history as any).get, { id })).rejects.toThrow("no Sealog server");
});

test("a cursor made by hand leads nowhere outside of the range that was asked for", async () => {
  const { log, run } = app();
  const timestamps = [1_000, 2_000, 3_000, 4_000];
  await run((ctx) =>
    log.logBulk(
      ctx,
      timestamps.map((timestamp) => ({ action: "a", timestamp })),
    ),
  );
  const [fromTimestamp, toTimestamp] = [2_000, 3_000];
  const found = async (cursor: string) => {
    const { items } = await run((ctx) =>
      log.search(ctx, { filters: { fromTimestamp, toTimestamp }, pagination: { limit: 10, cursor } }),
    );
    const { data } = await run((ctx) =>
      log.generateReport(ctx, { startDate: fromTimestamp, endDate: toTimestamp, format: "json", cursor }),
    );
    return [items.map(({ timestamp }) => timestamp), JSON.parse(data).map(({ timestamp }: any) => timestamp)];
  };
  expect(await found("[0,0]")).toEqual([[], [2_000, 3_000]]);
  expect(await found("[9e15,0]")).toEqual([[3_000, 2_000], []]);
  expect(await found("[2500,0]")).toEqual([[2_000], [3_000]]);
});

test("lists say to browsers too whether they are complete, where that is wanted", async () => {
  const { t, log, run } = app({}, { audit: exposeAuditLogApi(components.auditLog, { ...options, withComplete: true }) });
  const ada = t.withIdentity({ subject: "ada" });
  const id = await run((ctx) => log.log(ctx, { action: "note.read", actorId: "ada", resourceType: "note", resourceId: "n-1" }));
  const event = await run((ctx) => log.get(ctx, id));
  const lists = ["queryByResource", "queryByActor", "queryBySeverity", "queryByAction", "watchCritical"];
  for (const complete of [true, false]) {
    for (const name of lists) {
      expect(await ada.query(anyApi.audit![name] as any, READS[name]), name).toEqual({ items: [event], complete });
    }
    expect(await ada.query(anyApi.audit!.detectAnomalies as any, READS.detectAnomalies)).toMatchObject({
      items: [{ count: 1 }],
      complete,
    });
    expect((await run(async (ctx) => (await log.detectAnomalies(ctx, [])).complete))).toBe(true);
    // Something leaves for the server.
    await inside(t, (ctx) => ctx.db.insert("coverage", { since: Date.now() - 1_000 }));
  }
});

test("what is exposed samples and cleans up by the options of the log", async () => {
  const shared = { defaultRetentionDays: 5, criticalRetentionDays: 1_000, samplingEnabled: true, samplingRate: 0 };
  const { t, log, run } = app(shared, { audit: exposeAuditLogApi(components.auditLog, { ...options, ...shared }) });
  const root = t.withIdentity({ subject: "root" });
  expect(await root.mutation(anyApi.audit!.log as any, { event: { action: "page.viewed" } })).toBe("");
  const aged = (days: number, severity: "warning" | "critical") => ({
    action: `${days}`,
    severity,
    timestamp: Date.now() - days * 24 * 60 * 60_000,
  });
  await run((ctx) => log.logBulk(ctx, [aged(6, "warning"), aged(4, "warning"), aged(900, "critical")]));
  expect(await root.mutation(anyApi.audit!.cleanup as any, {})).toBe(1);
  const { items } = await run((ctx) => log.search(ctx, { filters: {}, pagination: { limit: 5 } }));
  expect(items.map(({ action }) => action)).toEqual(["4", "900"]);
});

test("what somebody did is logged under their own name, and when it was", async () => {
  const { t } = app({}, { audit });
  const forged = {
    id: "payment-17",
    timestamp: 1,
    actorId: "eve",
    actorName: "Eve",
    actorType: "system",
    onBehalfOf: "eve",
    tenant: "another",
    ipAddress: "203.0.113.9",
    sessionId: "s-1",
    retentionCategory: "debug",
    changed: ["/a"],
  };
  for (const [name, value] of Object.entries(forged)) {
    const event = { action: "a", [name]: value };
    const logged = t.withIdentity({ subject: "ada" }).mutation(anyApi.audit!.log as any, { event });
    await expect(logged, name).rejects.toThrow(`Unexpected field \`${name}\``);
  }
});
