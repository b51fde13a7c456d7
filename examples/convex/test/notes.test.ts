// The functions of the application, as Convex runs them.
import { afterEach, expect, test, vi } from "vitest";
import { api, internal } from "../convex/_generated/api";
import { auditLog } from "../convex/audit";
import { application } from "./app";

afterEach(() => void vi.useRealTimers());

const history = (noteId: string) => ({ resourceType: "notes", resourceId: noteId });

test("each change of a note is in its history, and one that fails is not", async () => {
  const t = application();
  const ada = t.withIdentity({ subject: "ada" });
  const eve = t.withIdentity({ subject: "eve" });
  const noteId = await ada.mutation(api.notes.create, { title: "Plan" });
  await eve.mutation(api.notes.save, { noteId, title: "A better plan", text: "Begin." });
  await expect(ada.mutation(api.notes.save, { noteId, title: "x".repeat(101), text: "" })).rejects.toThrow("at most 100");
  const events = await eve.query(api.audit.queryByResource, history(noteId));
  expect(events.map(({ action, actorId, diff }) => ({ action, actorId, diff }))).toEqual([
    { action: "record.updated", actorId: "eve", diff: '~ text: "" → "Begin."\n~ title: "Plan" → "A better plan"' },
    { action: "record.created", actorId: "ada", diff: undefined },
  ]);
  expect(await t.query(api.notes.list, {})).toMatchObject([{ title: "A better plan" }]);
  expect(await ada.query(api.audit.getStats, {})).toMatchObject({
    totalCount: 2,
    topActors: [
      { actorId: "ada", count: 1 },
      { actorId: "eve", count: 1 },
    ],
  });
});

test("who is not signed in changes nothing and sees no history", async () => {
  const t = application();
  await expect(t.mutation(api.notes.create, { title: "Plan" })).rejects.toThrow("Sign in first");
  await expect(t.query(api.audit.queryByResource, history("n"))).rejects.toThrow("Unauthorized");
  await expect(t.query(api.audit.getStats, {})).rejects.toThrow("Unauthorized");
  await expect(t.action(api.audit.wholeHistory, history("n"))).rejects.toThrow("Unauthorized");
});

test("old events go once a day", async () => {
  vi.useFakeTimers();
  const t = application();
  const old = { action: "record.viewed", timestamp: Date.now() - 91 * 24 * 60 * 60_000 };
  await t.mutation((ctx) => auditLog.logBulk(ctx, [...Array.from({ length: 250 }, () => old), { action: "record.viewed" }]));
  await t.mutation(internal.upkeep.cleanUp, {});
  await t.finishAllScheduledFunctions(vi.runAllTimers);
  expect(await t.query((ctx) => auditLog.getStats(ctx, { fromTimestamp: 0 }))).toMatchObject({ totalCount: 1 });
});
