// How events leave the tables: by a clean-up, when they were kept as long as they should be, or by eviction, when the
// server has them. Both go on by themselves in batches until all is done, and never look twice at what stays.
import { v, type Infer } from "convex/values";
import { internal } from "./_generated/api.js";
import { internalMutation, type DatabaseReader, type MutationCtx } from "./_generated/server.js";
import { countOut } from "./counters.js";
import { isAcknowledged } from "./events.js";
import { isForwarding } from "./forwarding.js";
import type { Event } from "./streams.js";
import { checkDays, SEVERITIES, vSeverity, type CleanupOptions, type Defaults } from "./validators.js";

const DAY_MS = 24 * 60 * 60_000;
/** How many events a batch looks at, unless told otherwise; and at the most. */
const BATCH_EVENTS = 100;
const MAX_BATCH_EVENTS = 1_000;
export const DEFAULT_RETENTION_DAYS = 90;
export const CRITICAL_RETENTION_DAYS = 365;

/** A kind of events, of which all before `before` go. */
const vKind = v.object({ category: v.union(v.string(), v.null()), severity: vSeverity, before: v.number() });
const vPlace = v.object({ timestamp: v.number(), creationTime: v.number() });
/** What is left to do: the kinds, the first of them from a place on. */
const job = {
  kinds: v.array(vKind),
  place: v.optional(vPlace),
  batchSize: v.number(),
  includeRefused: v.optional(v.boolean()),
};
const vJob = v.object(job);

/** Cleans up a first batch and has the rest done; answers how many events went by now. */
export async function cleanUp(ctx: MutationCtx, options: CleanupOptions, defaults: Defaults): Promise<number> {
  const batchSize = options.batchSize ?? BATCH_EVENTS;
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new Error("batchSize is a whole number from 1 on");
  }
  checkDays(options.olderThanDays, defaults.defaultRetentionDays, defaults.criticalRetentionDays);
  const kinds = await kindsOf(ctx.db, options, defaults);
  const includeRefused = options.includeRefused ?? false;
  return cleanUpBatch(ctx, { kinds, batchSize: Math.min(batchSize, MAX_BATCH_EVENTS), includeRefused });
}

/** The kinds that there are, and before when their events go. */
async function kindsOf(db: DatabaseReader, options: CleanupOptions, defaults: Defaults): Promise<Infer<typeof vKind>[]> {
  const { olderThanDays, preserveSeverity = [], retentionCategory } = options;
  const config = await db.query("config").first();
  const custom = new Map(config?.customRetention?.map(({ category, retentionDays }) => [category, retentionDays]));
  const days = (category: string | null, severity: Event["severity"]): number => {
    const ofCategory = category === null ? undefined : custom.get(category);
    const ofSeverity =
      severity === "critical"
        ? (config?.criticalRetentionDays ?? defaults.criticalRetentionDays ?? CRITICAL_RETENTION_DAYS)
        : (config?.defaultRetentionDays ?? defaults.defaultRetentionDays ?? DEFAULT_RETENTION_DAYS);
    return olderThanDays ?? ofCategory ?? ofSeverity;
  };
  const categories = retentionCategory === undefined ? await categoriesOf(db) : [retentionCategory];
  const now = Date.now();
  return categories.flatMap((category) =>
    SEVERITIES.filter((severity) => !preserveSeverity.includes(severity)).map((severity) => ({
      category,
      severity,
      before: now - days(category, severity) * DAY_MS,
    })),
  );
}

/** The retention categories that events have, by one read for each; `null` for none. */
async function categoriesOf(db: DatabaseReader): Promise<(string | null)[]> {
  const found: (string | null)[] = [null];
  for (let last = ""; ;) {
    const next = await db
      .query("auditLogs")
      .withIndex("by_retention", (q) => (found.length === 1 ? q.gte("retentionCategory", last) : q.gt("retentionCategory", last)))
      .first();
    if (!next) {
      return found;
    }
    last = next.retentionCategory!;
    found.push(last);
  }
}

/** The events of a kind, the oldest first, after a place. */
async function* ofKind(
  db: DatabaseReader,
  { category, severity, before }: Infer<typeof vKind>,
  place: Infer<typeof vPlace> | undefined,
): AsyncGenerator<Event, void, void> {
  const events = (bound: (q: any) => any) =>
    db
      .query("auditLogs")
      .withIndex("by_retention", (q) => bound(q.eq("retentionCategory", category ?? undefined).eq("severity", severity)));
  if (place) {
    yield* events((q) => q.eq("timestamp", place.timestamp).gt("_creationTime", place.creationTime));
    yield* events((q) => q.gt("timestamp", place.timestamp).lt("timestamp", before));
  } else {
    yield* events((q) => q.lt("timestamp", before));
  }
}

async function cleanUpBatch(ctx: MutationCtx, { kinds, place, batchSize, includeRefused = false }: Infer<typeof vJob>): Promise<number> {
  const gone: Event[] = [];
  let looked = 0;
  for (const [at, kind] of kinds.entries()) {
    let last = at === 0 ? place : undefined;
    for await (const event of ofKind(ctx.db, kind, last)) {
      if (looked++ === batchSize) {
        await remove(ctx, gone);
        const rest = { kinds: kinds.slice(at), batchSize, includeRefused, ...(last ? { place: last } : {}) };
        await ctx.scheduler.runAfter(0, internal.retention.cleanUpRest, rest);
        return gone.length;
      }
      last = { timestamp: event.timestamp, creationTime: event._creationTime };
      // What the server does not have is nowhere else.
      if (!isForwarding() || isAcknowledged(event) || (includeRefused && event.refused)) {
        gone.push(event);
      }
    }
  }
  await remove(ctx, gone);
  return gone.length;
}

export const cleanUpRest = internalMutation({
  args: job,
  returns: v.null(),
  handler: async (ctx, rest) => {
    await cleanUpBatch(ctx, rest);
    return null;
  },
});

/** Removes events, and takes note where the server has them still. */
async function remove(ctx: MutationCtx, events: readonly Event[]): Promise<void> {
  for (const { _id, id, seq } of events) {
    await ctx.db.delete(_id);
    const known =
      id !== undefined && seq === undefined
        ? await ctx.db
            .query("ids")
            .withIndex("by_given_id", (q) => q.eq("id", id))
            .first()
        : null;
    if (known) {
      await ctx.db.delete(known._id);
    }
  }
  await countOut(ctx.db, events);
  const elsewhere = events.filter(({ seq }) => seq !== undefined).map(({ timestamp }) => timestamp + 1);
  if (elsewhere.length > 0) {
    const coverage = await ctx.db.query("coverage").first();
    const since = Math.max(coverage?.since ?? Number.NEGATIVE_INFINITY, ...elsewhere);
    if (!coverage) {
      await ctx.db.insert("coverage", { since });
    } else if (since > coverage.since) {
      await ctx.db.patch(coverage._id, { since });
    }
  }
}

/** Has what the server has, and is older than `keepDays`, leave the tables. */
export async function startEviction(ctx: MutationCtx): Promise<void> {
  const config = await ctx.db.query("config").first();
  if (typeof config?.keepDays !== "number") {
    return;
  }
  const before = Date.now() - config.keepDays * DAY_MS;
  const oldest = await ctx.db.query("auditLogs").withIndex("by_timestamp").first();
  if (oldest && oldest.timestamp < before && !(await isEvicting(ctx))) {
    await scheduleEviction(ctx, { before });
  }
}

async function isEvicting(ctx: MutationCtx): Promise<boolean> {
  const eviction = await ctx.db.query("eviction").first();
  const state = (eviction && (await ctx.db.system.get(eviction.job)))?.state.kind;
  return state === "pending" || state === "inProgress";
}

async function scheduleEviction(ctx: MutationCtx, args: { before: number; place?: Infer<typeof vPlace> }): Promise<void> {
  const job = await ctx.scheduler.runAfter(0, internal.retention.evict, args);
  const eviction = await ctx.db.query("eviction").first();
  if (eviction) {
    await ctx.db.patch(eviction._id, { job });
  } else {
    await ctx.db.insert("eviction", { job });
  }
}

export const evict = internalMutation({
  args: { before: v.number(), place: v.optional(vPlace) },
  returns: v.null(),
  handler: async (ctx, { before, place }) => {
    const gone: Event[] = [];
    let looked = 0;
    let last = place;
    const ranges = place
      ? [
          ctx.db
            .query("auditLogs")
            .withIndex("by_timestamp", (q) => q.eq("timestamp", place.timestamp).gt("_creationTime", place.creationTime)),
          ctx.db.query("auditLogs").withIndex("by_timestamp", (q) => q.gt("timestamp", place.timestamp).lt("timestamp", before)),
        ]
      : [ctx.db.query("auditLogs").withIndex("by_timestamp", (q) => q.lt("timestamp", before))];
    for (const range of ranges) {
      for await (const event of range) {
        if (looked++ === BATCH_EVENTS) {
          await remove(ctx, gone);
          await scheduleEviction(ctx, { before, ...(last ? { place: last } : {}) });
          return null;
        }
        last = { timestamp: event.timestamp, creationTime: event._creationTime };
        if (isAcknowledged(event)) {
          gone.push(event);
        }
      }
    }
    await remove(ctx, gone);
    return null;
  },
});
