// Copies the events of an installed convex-audit-log, by its own functions: its reports tell which events there are, in
// the order of time and up to a number, and its `get` answers each as it is.
import type { FunctionReference, GenericActionCtx, GenericDataModel } from "convex/server";
import type { ComponentApi } from "../component/_generated/component.js";
import type { NewEvent } from "../component/validators.js";
import type { Preparer } from "./prepare.js";

/** `components.auditLog` of an installed convex-audit-log, as far as it is used. */
export interface OldAuditLog {
  lib: {
    generateReport: FunctionReference<
      "query",
      "internal",
      { startDate: number; endDate: number; format: "json" | "csv"; includeFields?: string[]; maxRecords?: number },
      { data: string; truncated: boolean }
    >;
    get: FunctionReference<"query", "internal", { id: string }, Record<string, unknown> | null>;
  };
}

export interface MigrateOptions {
  /** Where to go on: `cursor` of the answer before. From the beginning unless given. */
  cursor?: number;
  /** How many events go in one transaction. Default: 100. */
  batchSize?: number;
  /** For how long it goes on, in milliseconds. Default: 8 minutes, since actions end after ten. */
  maxMs?: number;
}

export interface Migrated {
  /** How many events were looked at; those that were there already are among them. */
  copied: number;
  /** Up to which time all is copied. */
  cursor: number;
  isDone: boolean;
}

const BATCH_EVENTS = 100;
const MAX_MS = 8 * 60_000;
/** The most events that the old component's report has. */
const MAX_OLD_RECORDS = 10_000;

export async function migrateFrom(
  ctx: Pick<GenericActionCtx<GenericDataModel>, "runQuery" | "runMutation">,
  old: OldAuditLog,
  component: ComponentApi<any>,
  preparer: Preparer,
  { cursor = 0, batchSize = BATCH_EVENTS, maxMs = MAX_MS }: MigrateOptions = {},
): Promise<Migrated> {
  const started = Date.now();
  const seen = new Set<string>();
  let copied = 0;
  let from = cursor;
  let maxRecords = batchSize;
  for (;;) {
    const { data, truncated } = await ctx.runQuery(old.lib.generateReport, {
      startDate: from,
      endDate: Number.MAX_SAFE_INTEGER,
      format: "json",
      includeFields: ["_id", "timestamp"],
      maxRecords,
    });
    const listed = JSON.parse(data) as { _id: string; timestamp: number }[];
    const fresh = listed.filter(({ _id }) => !seen.has(_id));
    for (let at = 0; at < fresh.length; at += batchSize) {
      const batch = await Promise.all(fresh.slice(at, at + batchSize).map(({ _id }) => ctx.runQuery(old.lib.get, { id: _id })));
      const events = batch.flatMap((event) => (event ? [eventOf(event, preparer)] : []));
      await ctx.runMutation(component.lib.logBulk, { events, sampling: null });
      copied += events.length;
    }
    const last = listed.at(-1);
    if (!truncated || !last) {
      return { copied, cursor: last?.timestamp ?? from, isDone: true };
    }
    if (last.timestamp === from) {
      // There are more events of one moment than fit: more are asked for at once.
      if (maxRecords === MAX_OLD_RECORDS) {
        throw new Error(`more than ${MAX_OLD_RECORDS} events have the timestamp ${from}; convex-audit-log shows no others`);
      }
      maxRecords = Math.min(maxRecords * 2, MAX_OLD_RECORDS);
    } else {
      from = last.timestamp;
      maxRecords = batchSize;
      seen.clear();
      // Here alone: a call that ends in the midst of a moment would begin with that moment again, each time.
      if (Date.now() - started > maxMs) {
        return { copied, cursor: from, isDone: false };
      }
    }
    listed.forEach(({ _id }) => seen.add(_id));
  }
}

/** An event under an id of its own, so that it is copied once. Its diff is made anew, of what is hidden now. */
function eventOf({ _id, _creationTime, diff, ...event }: Record<string, unknown>, preparer: Preparer): NewEvent {
  return preparer.copy({ ...event, id: `convex-audit-log:${String(_id)}`, generateDiff: diff !== undefined });
}
