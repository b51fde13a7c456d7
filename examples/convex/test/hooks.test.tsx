// @vitest-environment happy-dom
// Every hook of the package, over a real log.
import { ConvexProvider, type ConvexReactClient } from "convex/react";
import { getFunctionName, makeFunctionReference, type FunctionReference } from "convex/server";
import { createRoot } from "react-dom/client";
import {
  useAnomalyDetection,
  useAuditLogByActor,
  useAuditLogByResource,
  useAuditLogSearch,
  useAuditLogStats,
  useForwardingStatus,
  useWatchCriticalEvents,
} from "sealog-convex/react";
import { expect, test, vi } from "vitest";
import { auditLog } from "../convex/audit";
import { application } from "./app";

const query = (name: string) => makeFunctionReference<"query", any, any>(name);

const hooks: Record<string, () => unknown> = {
  byResource: () => useAuditLogByResource(query("queryByResource"), { resourceType: "notes", resourceId: "n-1" }),
  byActor: () => useAuditLogByActor(query("queryByActor"), { actorId: "ada", limit: 1 }),
  critical: () => useWatchCriticalEvents(query("watchCritical")),
  stats: () => useAuditLogStats(query("getStats")),
  anomalies: () =>
    useAnomalyDetection(query("detectAnomalies"), { patterns: [{ action: "note.read", threshold: 2, windowMinutes: 5 }] }),
  search: () => useAuditLogSearch(query("search"), { filters: { actions: ["note.read"] }, pagination: { limit: 1 } }),
  forwarding: () => useForwardingStatus(query("forwardingStatus")),
  skipped: () => useAuditLogByActor(query("queryByActor"), "skip") ?? "nothing",
};

test("every hook answers what the log does", async () => {
  const t = application();
  const read = { action: "note.read", actorId: "ada", resourceType: "notes", resourceId: "n-1" };
  await t.mutation((ctx) => auditLog.logBulk(ctx, [read, read, { action: "note.lost", severity: "critical" }]));
  const answers = new Map<string, unknown>();
  const client = {
    watchQuery(asked: FunctionReference<"query">, args: Record<string, any>) {
      const name = getFunctionName(asked);
      const given = name === "detectAnomalies" ? args.patterns : args;
      return {
        onUpdate(told: () => void) {
          void t
            .query((ctx) => (auditLog as any)[name](ctx, given))
            .then((answer) => {
              answers.set(name, answer);
              told();
            });
          return () => undefined;
        },
        localQueryResult: () => answers.get(name),
        journal: () => undefined,
      };
    },
  } as unknown as ConvexReactClient;
  const seen: Record<string, any> = {};
  function Seen({ name }: { name: string }) {
    seen[name] = hooks[name]!();
    return null;
  }
  const root = createRoot(document.body.appendChild(document.createElement("div")));
  for (const name of Object.keys(hooks)) {
    answers.clear();
    root.render(
      <ConvexProvider client={client}>
        <Seen key={name} name={name} />
      </ConvexProvider>,
    );
    await vi.waitFor(() => expect(seen[name]).toBeDefined(), { timeout: 60_000 });
  }
  root.unmount();
  expect(seen.byResource).toMatchObject([read, read]);
  expect(seen.byActor).toMatchObject([read]);
  expect(seen.critical).toMatchObject([{ action: "note.lost" }]);
  expect(seen.stats).toMatchObject({ totalCount: 3 });
  expect(seen.anomalies).toMatchObject([{ count: 2 }]);
  expect(seen.search).toMatchObject({ items: [read], hasMore: true });
  expect(seen.forwarding).toMatchObject({ state: "off" });
  expect(seen.skipped).toBe("nothing");
});
