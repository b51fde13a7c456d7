import { describe, expect, test } from "vitest";
import { AuditActions, type AuditLog } from "../../src/index.js";
import { matchers, recordingLog } from "../../src/testing/index.js";
import "../../src/testing/vitest.js";

/** What an application has: it takes the log it is given. */
async function renameNote(log: AuditLog, actorId: string) {
  await log.logChange({
    action: AuditActions.RECORD_UPDATED,
    actorId,
    resourceType: "note",
    resourceId: "n-1",
    before: { title: "a" },
    after: { title: "b" },
    metadata: { password: "hunter2", tags: ["x"] },
  });
}

describe("a recording log", () => {
  test("says what was logged", async () => {
    const log = recordingLog();
    await renameNote(log, "ada");
    expect(log).toHaveLogged({ action: "record.updated", actorId: "ada" });
    expect(log).toHaveLogged({ after: { title: "b" }, id: expect.any(String), timestamp: (ms: number) => ms > 0 }, 1);
    expect(log).not.toHaveLogged({ actorId: "eve" });
    expect(log).not.toHaveLogged({ metadata: { tags: [] } });
    expect(log).not.toHaveLogged({ tenant: "acme" });
    expect(log).toHaveLogged({ tenant: undefined });
    log.clear();
    expect(log.events).toEqual([]);
  });

  test("hides what the log would not get", async () => {
    const log = recordingLog({ piiFields: ["title"] });
    await renameNote(log, "ada");
    expect(log).toHaveLogged({ before: { title: "[REDACTED]" }, changed: ["/title"], metadata: { password: "[REDACTED]" } });
    expect(JSON.stringify(log.events)).not.toContain("hunter2");
  });

  test("takes bulks, and each id once", async () => {
    const log = recordingLog();
    await log.logBulk([{ action: "a" }, { action: "b", id: "b" }]);
    expect(await log.logWithReceipt({ action: "b", id: "b" })).toMatchObject({ seq: 1, existed: true });
    expect(log).toHaveLogged({ action: "b" }, 1);
    await expect(log.search()).rejects.toMatchObject({ code: "not_recorded" });
  });

  test("a failure shows what there was", async () => {
    const log = recordingLog();
    await log.log({ action: "a" });
    expect(() => expect(log).toHaveLogged({ action: "b" })).toThrow(/expected event like[^]*"b"[^]*found 0[^]*"action": "a"/);
    expect(() => expect(log).not.toHaveLogged({ action: "a" })).toThrow(/expected no event like/);
    expect(() => expect(log).toHaveLogged({ action: "a" }, 2)).toThrow(/2 times; found 1/);
    expect(() => matchers.toHaveLogged({} as never, {})).toThrow(TypeError);
  });
});
