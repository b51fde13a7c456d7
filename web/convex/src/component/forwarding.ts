// Events that are committed go to the Sealog server in the order of commits: one batch after the other, each by a
// scheduled action, so that there is one on its way at a time. What is sent twice is there once, since ids tell.
import type { WithoutSystemFields } from "convex/server";
import { getDocumentSize, v, type Infer } from "convex/values";
import { AuditLog, SealogError, type AuditEventInput } from "sealog";
import type { Doc } from "./_generated/dataModel.js";
import {
  env,
  internalAction,
  internalMutation,
  internalQuery,
  type DatabaseReader,
  type MutationCtx,
} from "./_generated/server.js";
import { internal } from "./_generated/api.js";
import { fold } from "./counters.js";
import { startEviction } from "./retention.js";
import type { Event } from "./streams.js";
import { vForwardingStatus } from "./validators.js";

/** How many events go in one request; the server logs them in one transaction. */
const MAX_BATCH_EVENTS = 500;
/** How many bytes of events go in one request, but always one event. */
const MAX_BATCH_BYTES = 1024 * 1024;
/** How far the events that wait, or were refused, are counted, by number and bytes; and how many bytes are sent again at once. */
const MAX_COUNTED = 1_000;
const MAX_COUNTED_BYTES = 4 * 1024 * 1024;
/** The first pause after a failure, in milliseconds, and the longest. */
const BACKOFF_MS = 1_000;
const MAX_BACKOFF_FACTOR = 300;
/** When a forwarder that has not moved is taken for lost, in milliseconds: no action runs for longer than ten minutes. */
const LOST_MS = 11 * 60_000;
/** How long an answer of the server may take, in milliseconds. */
const TIMEOUT_MS = 60_000;

type Progress = WithoutSystemFields<Doc<"progress">>;

const NOTHING: Progress = { commitTs: 0n, creationTime: 0, acknowledged: 0, resends: 0, failures: 0, dueAt: 0 };

const vReceipt = v.object({
  id: v.id("auditLogs"),
  seq: v.optional(v.number()),
  treeSize: v.optional(v.number()),
  sampled: v.optional(v.boolean()),
});

/** Whether there is a server to forward to. */
export function isForwarding(): boolean {
  return Boolean(env.SEALOG_URL);
}

/** Starts a forwarder if none is at work. */
export async function wake(ctx: MutationCtx): Promise<void> {
  if (!isForwarding()) {
    return;
  }
  const forwarder = await ctx.db.query("forwarder").first();
  if (!forwarder?.isRunning) {
    await start(ctx);
  }
}

/** Starts a forwarder; one that may still be at work elsewhere has no say any more. */
async function start(ctx: MutationCtx): Promise<void> {
  const forwarder = await ctx.db.query("forwarder").first();
  const run = (forwarder?.run ?? 0) + 1;
  if (forwarder) {
    await ctx.db.patch(forwarder._id, { isRunning: true, run });
  } else {
    await ctx.db.insert("forwarder", { isRunning: true, run });
  }
  await schedule(ctx, run, 0);
}

async function progressOf(db: DatabaseReader): Promise<Progress> {
  return (await db.query("progress").first()) ?? NOTHING;
}

/** Writes down how far it is. */
async function keep(ctx: MutationCtx, change: Partial<Progress>): Promise<void> {
  const progress = await ctx.db.query("progress").first();
  if (progress) {
    await ctx.db.patch(progress._id, change);
  } else {
    await ctx.db.insert("progress", { ...NOTHING, ...change });
  }
}

/** Has the next batch sent after so many milliseconds. */
async function schedule(ctx: MutationCtx, run: number, afterMs: number, most?: number): Promise<void> {
  await keep(ctx, { dueAt: Date.now() + afterMs });
  await ctx.scheduler.runAfter(afterMs, internal.forwarding.send, { run, ...(most === undefined ? {} : { most }) });
}

/** The events after those that are acknowledged, in the order of commits, but for those that were refused. */
export async function* waiting(db: DatabaseReader): AsyncGenerator<Event, void, void> {
  const { commitTs, resent, creationTime } = await progressOf(db);
  // All events of one commit have one timestamp; in there, they are in the order in which they were made, and behind them
  // by number those that it sends again.
  const events = (bound: (q: any) => any) =>
    db.query("auditLogs").withIndex("by_refusal_commit", (q) => bound(q.eq("refused.code", undefined)));
  yield* events((q) => q.eq("commitTs", commitTs).eq("resent", resent).gt("_creationTime", creationTime));
  yield* events((q) => q.eq("commitTs", commitTs).gt("resent", resent));
  yield* events((q) => q.gt("commitTs", commitTs));
}

async function isCurrent(db: DatabaseReader, run: number): Promise<boolean> {
  const forwarder = await db.query("forwarder").first();
  return forwarder?.isRunning === true && forwarder.run === run;
}

/** The next events to send; `null` for a forwarder that is no longer the one. */
export const batch = internalQuery({
  args: { run: v.number(), most: v.optional(v.number()) },
  returns: v.any(),
  handler: async (ctx, { run, most = MAX_BATCH_EVENTS }): Promise<Event[] | null> => {
    if (!(await isCurrent(ctx.db, run))) {
      return null;
    }
    const events: Event[] = [];
    let bytes = 0;
    for await (const event of waiting(ctx.db)) {
      bytes += getDocumentSize(event);
      if (events.length === most || (events.length > 0 && bytes > MAX_BATCH_BYTES)) {
        break;
      }
      events.push(event);
    }
    return events;
  },
});

/** Sends one batch, and has what came of it written down, which schedules the next one. */
export const send = internalAction({
  args: { run: v.number(), most: v.optional(v.number()) },
  returns: v.null(),
  handler: async (ctx, { run, most }): Promise<null> => {
    const events: Event[] | null = await ctx.runQuery(internal.forwarding.batch, {
      run,
      ...(most === undefined ? {} : { most }),
    });
    if (events === null) {
      return null;
    }
    try {
      const receipts = await server("SEALOG_API_KEY").logBulkWithReceipts(events.map(sentOf));
      await ctx.runMutation(internal.forwarding.acknowledge, {
        run,
        receipts: receipts.map(({ seq, treeSize, sampled }, at) => ({
          id: events[at]!._id,
          ...(seq === undefined ? {} : { seq }),
          ...(treeSize === undefined ? {} : { treeSize }),
          ...(sampled ? { sampled } : {}),
        })),
      });
    } catch (cause) {
      if (!(cause instanceof SealogError)) {
        throw cause;
      }
      const { code, pointer, retryAfterMs } = cause;
      const message = pointer ? `${pointer}: ${cause.message}` : cause.message;
      const culprit = culpritOf(cause, events.length);
      if (culprit === "alone") {
        await ctx.runMutation(internal.forwarding.halve, { run, most: Math.ceil(events.length / 2) });
      } else if (culprit !== undefined) {
        await ctx.runMutation(internal.forwarding.refuse, { run, id: events[culprit]!._id, code, message });
      } else {
        await ctx.runMutation(internal.forwarding.fail, {
          run,
          code,
          message,
          ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        });
      }
    }
    return null;
  },
});

/** A client of the server, which asks once: what fails is tried again by schedule. */
export function server(key: "SEALOG_API_KEY" | "SEALOG_READ_KEY"): AuditLog {
  const { SEALOG_URL: url, SEALOG_API_KEY: apiKey, SEALOG_READ_KEY: readKey } = env;
  if (!url) {
    throw new Error("no Sealog server is configured: SEALOG_URL is not set");
  }
  const credential = key === "SEALOG_READ_KEY" ? (readKey ?? apiKey) : apiKey;
  return new AuditLog({
    url,
    ...(credential === undefined ? {} : { apiKey: credential }),
    redactDefaults: false,
    timeoutMs: TIMEOUT_MS,
    retry: { maxAttempts: 1 },
  });
}

/** Under which name of the metadata the caller's id is at the server. */
const GIVEN_ID = "sealog-convex";

/**
 * An event as the server takes it. Its id there is its `_id` here, so what one knows it by is the same in both; the id
 * that the caller gave goes along in the metadata, with a word where there are no others.
 */
function sentOf(event: Event): AuditEventInput {
  const { _id, _creationTime, commitTs, resent, seq, treeSize, sampled, refused, diff, id, metadata, ...said } = event;
  const given = id === undefined ? {} : { [GIVEN_ID]: metadata === undefined ? { id, isAlone: true } : { id } };
  const isSomething = metadata !== undefined || id !== undefined;
  return { ...said, id: _id, ...(isSomething ? { metadata: { ...metadata, ...given } } : {}) };
}

/** What the caller said, of metadata at the server. */
export function givenOf(metadata: Record<string, unknown> | undefined): { id?: string; metadata?: Record<string, unknown> } {
  const { [GIVEN_ID]: given, ...rest } = metadata ?? {};
  const { id, isAlone } = (given ?? {}) as { id?: string; isAlone?: boolean };
  return { ...(id === undefined ? {} : { id }), ...(metadata === undefined || isAlone ? {} : { metadata: rest }) };
}

/** Which errors are about an event, and will be the same the next time. */
const REFUSALS = ["invalid_event", "limit_exceeded", "reserved_action", "id_conflict", "too_large", "malformed"];

/** What a proxy before the server answers in its own words where a request is too large for it. */
const TOO_LARGE_STATUS = 413;

/** Which event of a batch is the one that is refused; `alone` where smaller batches must show it. */
function culpritOf({ code, status, pointer }: SealogError, count: number): number | "alone" | undefined {
  if (!REFUSALS.includes(code) && status !== TOO_LARGE_STATUS) {
    return undefined;
  }
  if (count === 1) {
    return 0;
  }
  const named = /^\/(\d+)(\/|$)/.exec(pointer ?? "");
  const at = Number(named?.[1] ?? Number.NaN);
  return at < count ? at : "alone";
}

/** Goes on if there is more, and else rests. */
async function proceed(ctx: MutationCtx, run: number, change: Partial<Progress>): Promise<void> {
  await keep(ctx, { ...change, dueAt: Date.now() });
  if ((await waiting(ctx.db).next()).done) {
    const forwarder = await ctx.db.query("forwarder").first();
    await ctx.db.patch(forwarder!._id, { isRunning: false });
    await startEviction(ctx);
  } else {
    await schedule(ctx, run, 0);
  }
}

/** Writes down the receipts of a batch. */
export const acknowledge = internalMutation({
  args: { run: v.number(), receipts: v.array(vReceipt) },
  returns: v.null(),
  handler: async (ctx, { run, receipts }) => {
    if (!(await isCurrent(ctx.db, run))) {
      return null;
    }
    const before = await progressOf(ctx.db);
    const change: Partial<Progress> = { failures: 0, error: undefined };
    let acknowledged = before.acknowledged;
    for (const { id, ...receipt } of receipts) {
      const event = await ctx.db.get(id);
      // It may have been cleaned up while no server was configured.
      if (event) {
        await ctx.db.patch(id, receipt);
        change.commitTs = event.commitTs as bigint;
        change.resent = event.resent;
        change.creationTime = event._creationTime;
      }
      acknowledged++;
      // What sampling leaves out has neither.
      if (receipt.seq !== undefined) {
        change.lastSeq = receipt.seq;
      }
      if (receipt.treeSize !== undefined) {
        change.treeSize = receipt.treeSize;
      }
    }
    await proceed(ctx, run, { ...change, acknowledged });
    return null;
  },
});

/** Sets an event aside that the server does not take, so that it does not hold up the others. */
export const refuse = internalMutation({
  args: { run: v.number(), id: v.id("auditLogs"), code: v.string(), message: v.string() },
  returns: v.null(),
  handler: async (ctx, { run, id, code, message }) => {
    if (await isCurrent(ctx.db, run)) {
      if (await ctx.db.get(id)) {
        await ctx.db.patch(id, { refused: { code, message } });
      }
      await proceed(ctx, run, { error: { code, message, at: Date.now() } });
    }
    return null;
  },
});

/** Tries fewer events at once. */
export const halve = internalMutation({
  args: { run: v.number(), most: v.number() },
  returns: v.null(),
  handler: async (ctx, { run, most }) => {
    if (await isCurrent(ctx.db, run)) {
      await schedule(ctx, run, 0, most);
    }
    return null;
  },
});

/** Waits, longer each time. */
export const fail = internalMutation({
  args: { run: v.number(), code: v.string(), message: v.string(), retryAfterMs: v.optional(v.number()) },
  returns: v.null(),
  handler: async (ctx, { run, code, message, retryAfterMs = 0 }) => {
    if (await isCurrent(ctx.db, run)) {
      const { failures } = await progressOf(ctx.db);
      const first = Number(env.SEALOG_BACKOFF_MS ?? BACKOFF_MS) || BACKOFF_MS;
      // From half of it up to all of it by chance, so that many do not come back at once.
      const pause = first * Math.min(2 ** Math.min(failures, 30), MAX_BACKOFF_FACTOR) * (0.5 + Math.random() / 2);
      const error = { code, message, at: Date.now() };
      await keep(ctx, { failures: failures + 1, error });
      await schedule(ctx, run, Math.max(pause, retryAfterMs));
    }
    return null;
  },
});

function refusals(db: DatabaseReader) {
  return db.query("auditLogs").withIndex("by_refusal_commit", (q) => q.gt("refused.code", ""));
}

/** Events up to a number and `MAX_COUNTED_BYTES`, but one at least. */
async function firstOf(events: AsyncIterable<Event>, most: number): Promise<Event[]> {
  const found: Event[] = [];
  let bytes = 0;
  for await (const event of events) {
    bytes += getDocumentSize(event);
    if (found.push(event) === most || bytes > MAX_COUNTED_BYTES) {
      break;
    }
  }
  return found;
}

/** How forwarding stands. */
export async function statusOf(db: DatabaseReader): Promise<Infer<typeof vForwardingStatus>> {
  const forwarder = await db.query("forwarder").first();
  const { acknowledged, lastSeq = null, treeSize = null, failures, error = null, dueAt } = await progressOf(db);
  const pending = await firstOf(waiting(db), MAX_COUNTED);
  const refused = await firstOf(refusals(db), MAX_COUNTED);
  const isWaiting = forwarder?.isRunning === true && failures > 0;
  return {
    state: !isForwarding() ? "off" : isWaiting ? "waiting" : forwarder?.isRunning ? "sending" : "idle",
    pending: pending.length,
    oldestPendingAt: pending[0]?._creationTime ?? null,
    refused: refused.length,
    acknowledged,
    lastSeq,
    treeSize,
    failures,
    error,
    nextAttemptAt: isWaiting ? dueAt : null,
  };
}

/** Has what the server refused sent once more, behind all that waits, and what waits sent at once. */
export async function forwardAgain(ctx: MutationCtx): Promise<number> {
  if (!isForwarding()) {
    throw new Error("no Sealog server is configured: SEALOG_URL is not set");
  }
  const refused = await firstOf(refusals(ctx.db), MAX_BATCH_EVENTS);
  let { resends } = await progressOf(ctx.db);
  for (const { _id } of refused) {
    await ctx.db.patch(_id, { refused: undefined, commitTs: ctx.db.vars.commitTs, resent: resends++ });
  }
  await keep(ctx, { failures: 0, resends });
  await start(ctx);
  return refused.length;
}

/**
 * Looks now and then whether a forwarder was lost, whether there is work for one, and whether events are to leave; and
 * has counters put together.
 */
export const maintain = internalMutation({
  args: {},
  returns: v.null(),
  handler: async (ctx) => {
    await ctx.scheduler.runAfter(0, internal.forwarding.foldCounters, {});
    if (!isForwarding()) {
      return null;
    }
    const forwarder = await ctx.db.query("forwarder").first();
    const { dueAt } = await progressOf(ctx.db);
    const isLost = forwarder?.isRunning === true && dueAt + LOST_MS < Date.now();
    const isIdle = !forwarder?.isRunning && !(await waiting(ctx.db).next()).done;
    if (isLost || isIdle) {
      await start(ctx);
    }
    await startEviction(ctx);
    return null;
  },
});

/** In transactions of its own, so that it makes the others wait for nothing. */
export const foldCounters = internalMutation({
  args: {},
  returns: v.null(),
  handler: async (ctx) => {
    if (!(await fold(ctx.db))) {
      await ctx.scheduler.runAfter(0, internal.forwarding.foldCounters, {});
    }
    return null;
  },
});
