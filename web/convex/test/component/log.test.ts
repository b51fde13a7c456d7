import { readFileSync } from "node:fs";
import { makeFunctionReference } from "convex/server";
import { readableDiff } from "sealog/policy";
import { expect, test } from "vitest";
import { app, inside } from "../app.js";

test("an event is stored with what was said of it, and nothing else is shown", async () => {
  const { log, run } = app({ piiFields: ["email"] });
  const id = await run((ctx) =>
    log.log(ctx, {
      action: "user.login",
      actorId: "ada",
      metadata: { email: "ada@example.com", method: "password", at: 17n, raw: new Uint8Array([1, 2]).buffer },
      tags: ["authentication"],
    }),
  );
  expect(await run((ctx) => log.get(ctx, id))).toEqual({
    _id: id,
    _creationTime: expect.any(Number),
    timestamp: expect.any(Number),
    action: "user.login",
    actorId: "ada",
    severity: "info",
    metadata: { email: "[REDACTED]", method: "password", at: 17, raw: "AQI=" },
    tags: ["authentication"],
  });
  expect(await run((ctx) => log.get(ctx, "nothing"))).toBeNull();
});

test("metadata is an object, as at the server", async () => {
  const { log, run } = app();
  const stored = async (metadata: unknown) => {
    const id = await run((ctx) => log.log(ctx, { action: "a", metadata }));
    return (await run((ctx) => log.get(ctx, id)))!.metadata;
  };
  expect(await stored("text")).toEqual({ value: "text" });
  expect(await stored([1, { password: "secret" }])).toEqual({ value: [1, { password: "[REDACTED]" }] });
  expect(await stored({})).toEqual({});
  expect(await stored(null)).toBeUndefined();
});

test("a mutation that throws leaves no event", async () => {
  const { t, log, run } = app();
  const failing = run(async (ctx) => {
    await ctx.db.insert("notes", { title: "Plan" });
    await log.log(ctx, { action: "record.created", id: "n-1" });
    await log.logBulk(ctx, [{ action: "a" }, { action: "b" }]);
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  expect(await t.run((ctx) => ctx.db.query("notes").collect())).toEqual([]);
  const { items } = await run((ctx) => log.search(ctx, { filters: {}, pagination: { limit: 10 } }));
  expect(items).toEqual([]);
  expect((await run((ctx) => log.getStats(ctx))).totalCount).toBe(0);
  // And its id is free.
  await run((ctx) => log.log(ctx, { action: "record.updated", id: "n-1" }));
  expect((await run((ctx) => log.getStats(ctx))).totalCount).toBe(1);
});

test("the same id is the same event, and another event with it is an error", async () => {
  const { log, run } = app({ piiFields: ["pin"] });
  const event = { id: "payment-17", action: "invoice.paid", metadata: { amount: 5, pin: "1234" } };
  const first = await run((ctx) => log.log(ctx, event));
  expect(await run((ctx) => log.log(ctx, event))).toBe(first);
  expect(await run((ctx) => log.logBulk(ctx, [event, event]))).toEqual([first, first]);
  // What is hidden by the settings since then makes no other event of it.
  await run((ctx) => log.updateConfig(ctx, { piiFieldsToRedact: ["amount"] }));
  expect(await run((ctx) => log.log(ctx, event))).toBe(first);
  // Nor does sampling lose one that is there.
  await run((ctx) => log.updateConfig(ctx, { samplingEnabled: true, samplingRate: 0 }));
  expect(await run((ctx) => log.log(ctx, event))).toBe(first);
  await expect(run((ctx) => log.log(ctx, { ...event, action: "invoice.sent" }))).rejects.toThrow("belongs to another event");
  expect((await run((ctx) => log.getStats(ctx))).totalCount).toBe(1);
});

test("an id is compared also when its event has left", async () => {
  const { t, log, run } = app();
  await run((ctx) => log.updateConfig(ctx, { keepDays: 1, piiFieldsToRedact: ["amount"] }));
  const timestamp = Date.now() - 2 * 24 * 60 * 60_000;
  const event = { id: "payment-17", action: "invoice.paid", metadata: { amount: 5 }, timestamp };
  const _id = await run((ctx) => log.log(ctx, event));
  await inside(t, (ctx) => ctx.db.patch(_id, { seq: 0 }));
  await inside(t, (ctx) => ctx.runMutation(makeFunctionReference<"mutation">("retention:evict"), { before: Date.now() }));
  expect((await run((ctx) => log.search(ctx, { filters: {}, pagination: { limit: 1 } }))).items).toEqual([]);
  // The settings of then hold for it.
  await run((ctx) => log.updateConfig(ctx, { piiFieldsToRedact: ["iban"] }));
  const { timestamp: _, ...timeless } = event;
  for (const again of [event, timeless, { ...event, metadata: { amount: 6 } }]) {
    expect(await run((ctx) => log.log(ctx, again))).toBe(_id);
  }
  for (const change of [{ action: "admin.deleted", severity: "critical" as const }, { timestamp: timestamp + 1 }, { metadata: {} }]) {
    await expect(run((ctx) => log.log(ctx, { ...event, ...change }))).rejects.toThrow("belongs to another event");
  }
});

test("sampling leaves out info alone, and no change", async () => {
  const { log, run } = app({ samplingEnabled: true, samplingRate: 0 });
  const ids = await run((ctx) =>
    log.logBulk(ctx, [
      { action: "a" },
      { action: "b", severity: "warning" },
      { action: "c", resourceType: "r", resourceId: "1", before: 1, after: 2 },
      { action: "d", severity: "info", metadata: {} },
    ]),
  );
  expect(ids.map((id) => id !== "")).toEqual([false, true, true, false]);
  expect((await run((ctx) => log.getStats(ctx))).totalCount).toBe(2);
});

test("the settings sample too, and an id falls alike each time", async () => {
  const { log, run } = app();
  await run((ctx) => log.updateConfig(ctx, { samplingEnabled: true, samplingRate: 0.5 }));
  const ids = Array.from({ length: 400 }, (_, at) => `id-${at}`);
  const send = () =>
    run((ctx) =>
      log.logBulk(
        ctx,
        ids.map((id) => ({ action: "page.viewed", id })),
      ),
    );
  const first = await send();
  const kept = first.filter((id) => id !== "").length;
  expect(kept).toBeGreaterThan(140);
  expect(kept).toBeLessThan(260);
  expect(await send()).toEqual(first);
  expect((await run((ctx) => log.getStats(ctx))).totalCount).toBe(kept);
  await run((ctx) => log.updateConfig(ctx, { samplingEnabled: false }));
  expect(await run((ctx) => log.log(ctx, { action: "page.viewed" }))).not.toBe("");
});

test("what is no event is an error", async () => {
  const { log, run } = app();
  const logged = (event: object) => run((ctx) => log.log(ctx, event as { action: string }));
  await expect(logged({ action: "" })).rejects.toThrow("has an action");
  await expect(logged({ action: "sealog.settings.changed" })).rejects.toThrow("the log's own");
  await expect(logged({ action: "Sealog.x" })).rejects.toThrow("the log's own");
  await expect(logged({ action: "a", timestamp: -1 })).rejects.toThrow("no time of an event");
  await expect(logged({ action: "a", timestamp: Date.now() + 3_600_000 })).rejects.toThrow("no time of an event");
  await expect(logged({ action: "a", timestamp: 1.5 })).rejects.toThrow("no time of an event");
  await expect(logged({ action: "a", colour: "red" })).rejects.toThrow("Unexpected field");
});

test("what the server would refuse for good is refused when it is logged", async () => {
  const { log, run } = app({ redactDefaults: false });
  const wrong: [object, string][] = [
    [{ action: " " }, "has an action"],
    [{ action: "é".repeat(129) }, "action has 258 bytes; the limit is 256"],
    [{ action: "a\0" }, "NUL"],
    [{ id: "x".repeat(257) }, "id has"],
    ...["actorId", "actorType", "onBehalfOf", "sessionId", "requestId", "tenant", "retentionCategory"].flatMap(
      (name): [object, string][] => [
        [{ [name]: "" }, `${name} is empty`],
        [{ [name]: "x".repeat(1_025) }, `${name} has 1025 bytes`],
      ],
    ),
    [{ actorName: "x".repeat(1_025) }, "actorName has"],
    [{ ipAddress: "x".repeat(1_025) }, "ipAddress has"],
    [{ userAgent: "x".repeat(4_097) }, "userAgent has"],
    [{ resourceType: "note", resourceId: "" }, "resourceId is empty"],
    [{ resourceId: "n-1" }, "needs the resourceType"],
    [{ tags: Array(65).fill("t") }, "65 tags"],
    [{ tags: ["t", ""] }, "tags.1 is empty"],
    [{ metadata: { text: "x".repeat(256 * 1024) } }, "metadata has"],
    [{ before: "x".repeat(1024 * 1024) }, "before has"],
    [{ after: [{ deep: "\0" }] }, "after holds a NUL"],
  ];
  for (const [event, message] of wrong) {
    await expect(
      run(async (ctx) => log.log(ctx, { action: "a", ...event })),
      message,
    ).rejects.toThrow(message);
  }
  const most = { action: "a".repeat(256), actorId: "x".repeat(1_024), actorName: "", userAgent: "x".repeat(4_096), tags: Array(64).fill("t") };
  expect(await run((ctx) => log.log(ctx, most))).not.toBe("");
  expect(await run((ctx) => log.getStats(ctx))).toMatchObject({ totalCount: 1 });
});

test("settings are kept, and wrong ones are not taken", async () => {
  const { log, run } = app();
  expect(await run((ctx) => log.getConfig(ctx))).toBeNull();
  await run((ctx) => log.updateConfig(ctx, { defaultRetentionDays: 30 }));
  await run((ctx) => log.updateConfig(ctx, { customRetention: [{ category: "debug", retentionDays: 7 }], keepDays: 14 }));
  expect(await run((ctx) => log.getConfig(ctx))).toMatchObject({
    defaultRetentionDays: 30,
    criticalRetentionDays: 365,
    piiFieldsToRedact: [],
    samplingEnabled: false,
    samplingRate: 1,
    customRetention: [{ category: "debug", retentionDays: 7 }],
    keepDays: 14,
  });
  await expect(run((ctx) => log.updateConfig(ctx, { samplingRate: 2 }))).rejects.toThrow("a share");
  await expect(run((ctx) => log.updateConfig(ctx, { keepDays: -1 }))).rejects.toThrow("from 0 on");
});

const vectors = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../../contract/vectors/${name}`, import.meta.url), "utf8"));

test("diffs are those of the log", async () => {
  // Names in Convex are of printable ASCII.
  const cases = vectors("diff.json").cases.filter(
    (vector: object) => !/[^ -~]|\\u00/.test(JSON.stringify(vector).replace(/"readable":".*?[^\\]"/, "")),
  );
  expect(cases.length).toBeGreaterThan(8);
  for (const { name, before, after, readable } of cases) {
    const { log, run } = app({ redactDefaults: false });
    const id = await run((ctx) => log.logChange(ctx, { action: "a", resourceType: "r", resourceId: "1", before, after }));
    expect((await run((ctx) => log.get(ctx, id)))?.diff, name).toBe(readable);
  }
});

test("what is hidden is what the log hides, in metadata, both states and the diff", async () => {
  const hashes = /"hash"|detectors|ipAddress/;
  const cases = vectors("redaction.json").cases.filter(
    ({ policy, event }: { policy: object; event: { resourceId?: string; resourceType?: string } }) =>
      !hashes.test(JSON.stringify(policy)) && (event.resourceId === undefined) === (event.resourceType === undefined),
  );
  expect(cases.length).toBeGreaterThan(10);
  for (const { name, policy, event, stored } of cases) {
    const { log, run } = app({
      piiFields: policy.redactFields,
      piiPaths: policy.redactPaths,
      redactDefaults: policy.defaults,
      keepFields: policy.keep,
    });
    const id = await run((ctx) => log.log(ctx, event));
    const { metadata, before, after, actorId, diff } = (await run((ctx) => log.get(ctx, id)))!;
    const { metadata: m, before: b, after: a, actorId: i, diff: d } = stored;
    expect({ metadata, before, after, actorId }, name).toEqual({ metadata: m, before: b, after: a, actorId: i });
    if (before !== undefined && after !== undefined) {
      expect(diff ?? "", name).toBe(readableDiff(d ?? []));
    }
  }
});

test("that a hidden value has changed is told, and not what it was", async () => {
  const { log, run } = app();
  const id = await run((ctx) =>
    log.logChange(ctx, {
      action: "user.updated",
      resourceType: "users",
      resourceId: "u-1",
      before: { password: "old secret", name: "Ada" },
      after: { password: "new secret", name: "Eve" },
    }),
  );
  const event = (await run((ctx) => log.get(ctx, id)))!;
  expect(event.diff).toBe('~ name: "Ada" → "Eve"\n~ password: "[REDACTED]" → "[REDACTED]"');
  expect(JSON.stringify(event)).not.toContain("secret");
});
