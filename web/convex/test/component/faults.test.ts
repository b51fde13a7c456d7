// What went wrong in the component that this one takes the place of, each as a test.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { app, inside } from "../app.js";

const DAY = 24 * 60 * 60_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("search filters all events, and not the newest limit × 10", async () => {
  const { log, run } = app();
  const rare = await run((ctx) => log.log(ctx, { action: "user.deleted", actorId: "eve" }));
  await run((ctx) =>
    log.logBulk(
      ctx,
      Array.from({ length: 200 }, () => ({ action: "page.viewed", actorId: "ada" })),
    ),
  );
  const found = await run((ctx) =>
    log.search(ctx, { filters: { actions: ["user.deleted"], actorIds: ["eve"] }, pagination: { limit: 1 } }),
  );
  expect(found).toMatchObject({ items: [{ _id: rare }], hasMore: false, cursor: null, complete: true });
});

test("queryByActor applies its limit after the other filters", async () => {
  const { log, run } = app();
  const login = await run((ctx) => log.log(ctx, { action: "user.login", actorId: "ada" }));
  await run((ctx) =>
    log.logBulk(
      ctx,
      Array.from({ length: 60 }, () => ({ action: "page.viewed", actorId: "ada" })),
    ),
  );
  const found = await run((ctx) => log.queryByActor(ctx, { actorId: "ada", actions: ["user.login"], limit: 5 }));
  expect(found.map(({ _id }) => _id)).toEqual([login]);
});

test("cleanup goes past the oldest batch, though all of it is preserved", async () => {
  const { t, log, run } = app();
  const timestamp = Date.now() - 100 * DAY;
  const old = (severity: "critical" | "info", count: number, at: number) =>
    Array.from({ length: count }, () => ({ action: "a", severity, timestamp: at }));
  await run((ctx) => log.logBulk(ctx, [...old("critical", 30, timestamp), ...old("info", 25, timestamp + 1)]));
  const now = await run((ctx) => log.cleanup(ctx, { olderThanDays: 90, preserveSeverity: ["critical"], batchSize: 10 }));
  expect(now).toBe(10);
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  const { totalCount, bySeverity } = await run((ctx) => log.getStats(ctx, { fromTimestamp: 0 }));
  expect([totalCount, bySeverity.critical]).toEqual([30, 30]);
});

test("a report has more than 10,000 rows", async () => {
  const { log, run } = app();
  for (let at = 0; at < 11; at++) {
    await run((ctx) =>
      log.logBulk(
        ctx,
        Array.from({ length: 1_000 }, () => ({ action: "a" })),
      ),
    );
  }
  const counts: number[] = [];
  await run(async (ctx) => {
    for await (const page of log.reportPages(ctx, { startDate: 0, endDate: Date.now(), format: "json" })) {
      counts.push(page.recordCount);
    }
  });
  expect(counts).toEqual([10_000, 1_000]);
});

test("CSV has objects as JSON, and quotes what must be quoted", async () => {
  const { log, run } = app();
  await run((ctx) =>
    log.log(ctx, {
      action: "a,b",
      actorId: '=cmd|"x"',
      tags: ["x", "y"],
      metadata: { n: 1, text: "two\nlines" },
      sessionId: "'s",
    }),
  );
  const { data } = await run((ctx) =>
    log.generateReport(ctx, {
      startDate: 0,
      endDate: Date.now(),
      format: "csv",
      includeFields: ["action", "actorId", "tags", "metadata", "metadata.text", "/metadata/n", "sessionId", "date", "ipAddress"],
    }),
  );
  const today = new Date().toISOString().slice(0, 10);
  expect(data).toBe(
    "action,actorId,tags,metadata,metadata.text,/metadata/n,sessionId,date,ipAddress\r\n" +
      `"a,b","'=cmd|""x""","[""x"",""y""]","{""n"":1,""text"":""two\\nlines""}","two\nlines",1,''s,${today},\r\n`,
  );
});

test("the diff is deep, and null is a state", async () => {
  const { log, run } = app();
  const diff = async (before: unknown, after: unknown) => {
    const id = await run((ctx) =>
      log.logChange(ctx, { action: "a", resourceType: "r", resourceId: "1", before, after, generateDiff: true }),
    );
    return (await run((ctx) => log.get(ctx, id)))!.diff;
  };
  expect(await diff({ user: { name: "Ada", emails: [{ work: "a" }] } }, { user: { name: "Ada", emails: [{ work: "b" }] } })).toBe(
    '~ user.emails.0.work: "a" → "b"',
  );
  expect(await diff(null, { title: "Plan" })).toBe('~ (whole): null → {"title":"Plan"}');
  expect(await diff({ title: "Plan" }, null)).toBe('~ (whole): {"title":"Plan"} → null');
  expect(await diff({ a: null }, { a: { b: null } })).toBe('~ a: null → {"b":null}');
});

test("the top lists count all events, and not the newest thousand", async () => {
  const { log, run } = app();
  const many = (count: number, actorId: string) => Array.from({ length: count }, () => ({ action: `${actorId}.acted`, actorId }));
  await run((ctx) => log.logBulk(ctx, many(1_500, "early")));
  await run((ctx) => log.logBulk(ctx, many(1_200, "late")));
  const { topActors, topActions } = await run((ctx) => log.getStats(ctx));
  expect(topActors).toEqual([
    { actorId: "early", count: 1_500 },
    { actorId: "late", count: 1_200 },
  ]);
  expect(topActions[0]).toEqual({ action: "early.acted", count: 1_500 });
});

test("the settings are read: retention by category and severity, redaction, sampling", async () => {
  const { t, log, run } = app();
  await run((ctx) =>
    log.updateConfig(ctx, {
      defaultRetentionDays: 10,
      criticalRetentionDays: 20,
      customRetention: [
        { category: "debug", retentionDays: 1 },
        { category: "legal", retentionDays: 1_000 },
      ],
      piiFieldsToRedact: ["phoneNumber"],
      samplingEnabled: true,
      samplingRate: 0,
    }),
  );
  const aged = (days: number, action: string, more: object = {}) => ({
    action,
    severity: "warning" as const,
    timestamp: Date.now() - days * DAY,
    ...more,
  });
  await run((ctx) =>
    log.logBulk(ctx, [
      aged(11, "goes: default"),
      aged(9, "stays: default"),
      aged(21, "goes: critical", { severity: "critical" }),
      aged(19, "stays: critical", { severity: "critical" }),
      aged(2, "goes: debug", { retentionCategory: "debug" }),
      aged(2, "goes: debug, critical", { retentionCategory: "debug", severity: "critical" }),
      aged(900, "stays: legal", { retentionCategory: "legal" }),
      aged(15, "goes: no rule for its category", { retentionCategory: "other", metadata: { PHONE_NUMBER: "+49 30" } }),
      { action: "goes: sampled" },
      aged(1, "stays: hidden", { metadata: { PHONE_NUMBER: "+49 30" } }),
    ]),
  );
  await run((ctx) => log.cleanup(ctx, { batchSize: 1 }));
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  const { items } = await run((ctx) => log.search(ctx, { filters: {}, pagination: { limit: 100 } }));
  expect(items.map(({ action }) => action)).toEqual(["stays: hidden", "stays: default", "stays: critical", "stays: legal"]);
  expect(items[0]!.metadata).toEqual({ PHONE_NUMBER: "[REDACTED]" });
});

test("the options that the class is made with are read as well", async () => {
  const { log, run } = app({ defaultRetentionDays: 5, criticalRetentionDays: 6 });
  const aged = (days: number, severity: "info" | "critical") => ({
    action: "a",
    severity,
    timestamp: Date.now() - days * DAY - 1,
  });
  await run((ctx) => log.logBulk(ctx, [aged(4, "info"), aged(5, "info"), aged(5, "critical"), aged(6, "critical")]));
  expect(await run((ctx) => log.cleanup(ctx))).toBe(2);
});

test("the options hold for what the settings do not say, whatever else they say", async () => {
  const { t, log, run } = app({ defaultRetentionDays: 5, criticalRetentionDays: 2_555 });
  await run((ctx) => log.updateConfig(ctx, { keepDays: 30 }));
  expect(await run((ctx) => log.getConfig(ctx))).toMatchObject({
    defaultRetentionDays: 5,
    criticalRetentionDays: 2_555,
    samplingRate: 1,
    keepDays: 30,
  });
  expect(Object.keys((await inside(t, (ctx) => ctx.db.query("config").first())) as object).sort()).toEqual([
    "_creationTime",
    "_id",
    "keepDays",
  ]);
  const aged = (days: number, severity: "info" | "critical") => ({ action: "a", severity, timestamp: Date.now() - days * DAY });
  await run((ctx) => log.logBulk(ctx, [aged(6, "info"), aged(400, "critical")]));
  expect(await run((ctx) => log.cleanup(ctx))).toBe(1);
  await run((ctx) => log.updateConfig(ctx, { criticalRetentionDays: 365 }));
  expect(await run((ctx) => log.cleanup(ctx))).toBe(1);
});

test("a configured field with a capital letter is hidden, however it is spelled", async () => {
  const { log, run } = app({ piiFields: ["dateOfBirth"] });
  const id = await run((ctx) =>
    log.log(ctx, { action: "a", metadata: { dateOfBirth: "1", date_of_birth: "2", people: [{ DATEOFBIRTH: "3" }] } }),
  );
  expect((await run((ctx) => log.get(ctx, id)))!.metadata).toEqual({
    dateOfBirth: "[REDACTED]",
    date_of_birth: "[REDACTED]",
    people: [{ DATEOFBIRTH: "[REDACTED]" }],
  });
});
