import { expect, test } from "vitest";
import { app } from "../app.js";

test("what is logged is there", async () => {
  const { log, run } = app({ piiFields: ["email"] });
  const id = await run((ctx) => log.log(ctx, { action: "user.login", actorId: "ada", severity: "info", metadata: { Email: "a@b", method: "password" }, tags: ["authentication"] }));
  const event = await run((ctx) => log.get(ctx, id));
  expect(event).toEqual({
    _id: id,
    _creationTime: expect.any(Number),
    timestamp: expect.any(Number),
    action: "user.login",
    actorId: "ada",
    severity: "info",
    metadata: { Email: "[REDACTED]", method: "password" },
    tags: ["authentication"],
  });
});
