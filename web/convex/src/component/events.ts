// How an event comes into the tables.
import {
  canonicalJson,
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
export function entryOf({ commitTs: _, changed: __, resent: ___, ...event }: Event): AuditLogEntry {
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
  const piiFields = config?.piiFieldsToRedact ?? [];
  const now = Date.now();
  const added: Stored[] = [];
  const ids: string[] = [];
  for (const given of events) {
    const { timestamp = now } = given;
    if (!Number.isSafeInteger(timestamp) || timestamp < 0 || timestamp > now + MAX_FUTURE_MS) {
      throw new Error(`${timestamp} is no time of an event: whole milliseconds since 1970, and not ahead of the clock`);
    }
    const known = given.id === undefined ? null : await existing(ctx, given.id, given);
    if (known !== null) {
      ids.push(known);
      continue;
    }
    const event = hidden(given, piiFields, now);
    if (sampling !== null && !isKept(event, sampling, config)) {
      ids.push("");
      continue;
    }
    const _id = await ctx.db.insert("auditLogs", { ...event, commitTs: ctx.db.vars.commitTs });
    if (event.id !== undefined) {
      const asStored = { hash: await hashOf(event), timestamp, ...(piiFields.length > 0 ? { hidden: piiFields } : {}) };
      await ctx.db.insert("ids", { id: event.id, event: _id, ...asStored });
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
function hidden({ generateDiff: wantsDiff, ...given }: NewEvent, piiFields: string[], now: number): Stored {
  const event = { ...given, severity: given.severity ?? "info", timestamp: given.timestamp ?? now } as Stored;
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

/** The event with the same id, if there was one, here or in the server. Another event with that id is an error. */
async function existing(ctx: MutationCtx, id: string, given: NewEvent): Promise<string | null> {
  const known = await ctx.db
    .query("ids")
    .withIndex("by_given_id", (q) => q.eq("id", id))
    .first();
  if (!known) {
    return null;
  }
  // What was hidden then is hidden now: settings that have changed since make no other event of it.
  const again = hidden({ timestamp: known.timestamp, ...given, generateDiff: false }, known.hidden ?? [], known.timestamp);
  if (again.timestamp !== known.timestamp || (await hashOf(again)) !== known.hash) {
    throw new Error(`the id ${id} belongs to another event; an id may be sent again only with the same event`);
  }
  return known.event;
}

/** A hash of what the caller said of an event, but for its time, which need not be said. */
async function hashOf({ timestamp: _, diff: __, ...said }: Stored): Promise<string> {
  const bytes = new TextEncoder().encode(canonicalJson(said as unknown as Json));
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
