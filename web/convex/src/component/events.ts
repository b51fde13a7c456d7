// How an event comes into the tables.
import {
  equalJson,
  REDACTED,
  Redactor,
  generateDiff,
  readableDiff,
  type DiffOp,
  type Json,
  type Redactable,
} from "sealog/policy";
import type { MutationCtx } from "./_generated/server.js";
import type { Doc } from "./_generated/dataModel.js";
import { countIn } from "./counters.js";
import { wake } from "./forwarding.js";
import type { Event } from "./streams.js";
import type { AuditLogEntry, NewEvent } from "./validators.js";

/** How far ahead of the clock an event may be, in milliseconds; the same as in a log. */
const MAX_FUTURE_MS = 5 * 60_000;

/** An event as callers see it. */
export function entryOf({ commitTs: _, changed: __, ...event }: Event): AuditLogEntry {
  return event;
}

/** Whether the server has it, or its sampling left it out. */
export function isAcknowledged({ seq, sampled }: Pick<Event, "seq" | "sampled">): boolean {
  return seq !== undefined || sampled === true;
}

type Stored = Omit<Event, "_id" | "_creationTime" | "commitTs">;
type Config = Doc<"config"> | null;

/** Stores events with all that goes with them, and answers their `_id`s: `""` where sampling left one out. */
export async function store(ctx: MutationCtx, events: readonly NewEvent[], sampling?: number | null): Promise<string[]> {
  const config = await ctx.db.query("config").first();
  const now = Date.now();
  const added: Stored[] = [];
  const ids: string[] = [];
  for (const given of events) {
    const event = hidden(given, config, now);
    if (!Number.isSafeInteger(event.timestamp) || event.timestamp < 0 || event.timestamp > now + MAX_FUTURE_MS) {
      throw new Error(`${event.timestamp} is no time of an event: whole milliseconds since 1970, and not ahead of the clock`);
    }
    const known = event.id === undefined ? null : await existing(ctx, event, given, config);
    if (known !== null || (sampling !== null && !isKept(event, sampling, config))) {
      ids.push(known ?? "");
      continue;
    }
    const _id = await ctx.db.insert("auditLogs", { ...event, commitTs: ctx.db.vars.commitTs });
    if (event.id !== undefined) {
      await ctx.db.insert("ids", { id: event.id, event: _id });
    }
    added.push(event);
    ids.push(_id);
  }
  if (added.length > 0) {
    await countIn(ctx.db, added);
    await wake(ctx);
  }
  return ids;
}

/** What is stored of an event, hidden what the settings hide on top of what the caller hid. */
function hidden({ generateDiff: wantsDiff, ...given }: NewEvent, config: Config, now: number): Stored {
  const event = { ...given, severity: given.severity ?? "info", timestamp: given.timestamp ?? now } as Stored;
  const piiFields = config?.piiFieldsToRedact ?? [];
  if (piiFields.length > 0) {
    new Redactor({ redactDefaults: false, piiFields }).redact(event as Redactable);
  }
  if (wantsDiff !== false && event.before !== undefined && event.after !== undefined) {
    event.diff = readableDiff(changesOf(event));
  }
  return event;
}

/** What changed, also where both values are hidden. */
function changesOf({ before, after, changed = [] }: Pick<Stored, "before" | "after" | "changed">): DiffOp[] {
  const shown = generateDiff(before as Json, after as Json);
  const paths = new Set(shown.map(({ path }) => path));
  const unseen = changed.filter((path) => !paths.has(path));
  return [...shown, ...unseen.map((path): DiffOp => ({ op: "replace", path, old: REDACTED, value: REDACTED }))];
}

/** Whether sampling keeps it: a change and what is more than `info` always, and else by chance, or by its id. */
function isKept({ severity, id, before, after, changed }: Stored, sampling: number | undefined, config: Config): boolean {
  const rate = Math.min(sampling ?? 1, config?.samplingEnabled ? (config.samplingRate ?? 1) : 1);
  if (rate >= 1 || severity !== "info" || before !== undefined || after !== undefined || changed !== undefined) {
    return true;
  }
  return (id === undefined ? Math.random() : chanceOf(id)) < rate;
}

/** A number from 0 to 1 that is always the same for an id: FNV-1a, with its bits mixed as in MurmurHash3. */
function chanceOf(id: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < id.length; at++) {
    hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** The event with the same id, if there is one. Another event with that id is an error. */
async function existing(ctx: MutationCtx, event: Stored, given: NewEvent, config: Config): Promise<string | null> {
  const known = await ctx.db
    .query("ids")
    .withIndex("by_given_id", (q) => q.eq("id", event.id!))
    .first();
  if (!known) {
    return null;
  }
  const _id = ctx.db.normalizeId("auditLogs", known.event);
  const before = _id && (await ctx.db.get(_id));
  if (before) {
    // What was hidden since the first one came is hidden in both.
    const again = hidden({ ...contentOf(before), generateDiff: given.generateDiff }, config, before.timestamp);
    const same = hidden({ ...given, timestamp: given.timestamp ?? before.timestamp }, config, before.timestamp);
    if (!equalJson(contentOf(again) as Json, contentOf(same) as Json)) {
      throw new Error(`the id ${event.id} belongs to another event; an id may be sent again only with the same event`);
    }
  }
  return known.event;
}

/** What the caller said of it. */
function contentOf(event: Stored | Event): Stored {
  const { _id: _, _creationTime, commitTs, seq, treeSize, sampled, refused, diff, ...said } = event as Event;
  return said;
}
