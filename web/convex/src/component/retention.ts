// How events leave the tables: by a clean-up, when they were kept as long as they should be, or by eviction, when the
// server has them. Both go on by themselves in batches until all is done, and never look twice at what stays.
import { v, type Infer } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Doc } from "./_generated/dataModel.js";
import { internalMutation, type DatabaseReader, type MutationCtx } from "./_generated/server.js";
import { countOut } from "./counters.js";
import { isAcknowledged } from "./events.js";
import { isForwarding } from "./forwarding.js";
import { Budget, type Event } from "./streams.js";
import { checkDays, cleanupArgs, SEVERITIES, vDefaults, vSeverity, type CleanupOptions, type Defaults } from "./validators.js";

const DAY_MS = 24 * 60 * 60_000;
/** How many events a batch looks at, unless told otherwise; and at the most. */
const BATCH_EVENTS = 100;
const MAX_BATCH_EVENTS = 500;
/** What a batch reads of events: what goes is read twice, and its counters are besides. */
const BATCH = { bytes: 4 * 1024 * 1024, ranges: 1_500 };
export const DEFAULT_RETENTION_DAYS = 90;
export const CRITICAL_RETENTION_DAYS = 365;

const vPlace = v.object({ timestamp: v.number(), creationTime: v.number() });
/** Events of one retention category, `null` for none, and one severity, and how far in there. */
const vKind = v.object({ category: v.union(v.string(), v.null()), severity: vSeverity, place: v.optional(vPlace) });
/** A clean-up: what was asked for, when, and where it is. */
const job = { ...cleanupArgs, defaults: vDefaults, now: v.number(), at: v.optional(vKind) };
const vJob = v.object(job);
type Job = Infer<typeof vJob>;

/** Cleans up a first batch and has the rest done; answers how many events went by now. */
export async function cleanUp(ctx: MutationCtx, options: CleanupOptions, defaults: Defaults): Promise<number> {
  const { batchSize = BATCH_EVENTS } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new Error("batchSize is a whole number from 1 on");
  }
  checkDays(options.olderThanDays, defaults.defaultRetentionDays, defaults.criticalRetentionDays);
  return cleanUpBatch(ctx, { ...options, batchSize: Math.min(batchSize, MAX_BATCH_EVENTS), defaults, now: Date.now() });
}

/** The kinds that there are to clean up, from one on. */
async function* kinds(db: DatabaseReader, { preserveSeverity = [], retentionCategory, at }: Job, budget: Budget) {
  const severities = SEVERITIES.filter((severity) => !preserveSeverity.includes(severity));
  if (severities.length === 0) {
    return;
  }
  let left = at ? severities.slice(severities.indexOf(at.severity)) : severities;
  let category: string | null | undefined = at ? at.category : (retentionCategory ?? null);
  while (category !== undefined) {
    for (const severity of left) {
      yield { category, severity };
    }
    left = severities;
    category = retentionCategory === undefined ? await categoryAfter(db, category, budget) : undefined;
  }
}

/** The next retention category that an event has. */
async function categoryAfter(db: DatabaseReader, category: string | null, budget: Budget): Promise<string | undefined> {
  budget.spendRanges(1);
  const next = await db
    .query("auditLogs")
    .withIndex("by_retention", (q) =>
      category === null ? q.gte("retentionCategory", "") : q.gt("retentionCategory", category),
    )
    .first();
  if (next) {
    budget.spend(next);
  }
  return next?.retentionCategory;
}

/** Before when events of a kind go. */
function endOf({ category, severity }: Infer<typeof vKind>, { olderThanDays, defaults, now }: Job, config: Doc<"config"> | null): number {
  const ofCategory = config?.customRetention?.filter((custom) => custom.category === category).at(-1)?.retentionDays;
  const ofSeverity =
    severity === "critical"
      ? (config?.criticalRetentionDays ?? defaults.criticalRetentionDays ?? CRITICAL_RETENTION_DAYS)
      : (config?.defaultRetentionDays ?? defaults.defaultRetentionDays ?? DEFAULT_RETENTION_DAYS);
  return now - (olderThanDays ?? ofCategory ?? ofSeverity) * DAY_MS;
}

/** The events of a kind, the oldest first, after a place. */
async function* ofKind(
  db: DatabaseReader,
  { category, severity, place }: Infer<typeof vKind>,
  before: number,
  budget: Budget,
): AsyncGenerator<Event, void, void> {
  const events = (bound: (q: any) => any) =>
    budget.read(
      db
        .query("auditLogs")
        .withIndex("by_retention", (q) => bound(q.eq("retentionCategory", category ?? undefined).eq("severity", severity))),
    );
  if (place) {
    yield* events((q) => q.eq("timestamp", place.timestamp).gt("_creationTime", place.creationTime));
    yield* events((q) => q.gt("timestamp", place.timestamp).lt("timestamp", before));
  } else {
    yield* events((q) => q.lt("timestamp", before));
  }
}

async function cleanUpBatch(ctx: MutationCtx, job: Job): Promise<number> {
  const { batchSize = BATCH_EVENTS, includeRefused = false } = job;
  const config = await ctx.db.query("config").first();
  const budget = new Budget(BATCH);
  const gone: Event[] = [];
  let looked = 0;
  const isOver = () => looked === batchSize || budget.isSpent;
  for await (const { category, severity } of kinds(ctx.db, job, budget)) {
    const isFirst = job.at?.category === category && job.at.severity === severity;
    let place = isFirst ? job.at?.place : undefined;
    const kind = (): Infer<typeof vKind> => ({ category, severity, ...(place ? { place } : {}) });
    for await (const event of ofKind(ctx.db, kind(), endOf(kind(), job, config), budget)) {
      looked++;
      place = placeOf(event);
      // What the server does not have is nowhere else.
      if (!isForwarding() || isAcknowledged(event) || (includeRefused && event.refused)) {
        gone.push(event);
      }
      if (isOver()) {
        break;
      }
    }
    if (isOver()) {
      await ctx.scheduler.runAfter(0, internal.retention.cleanUpRest, { ...job, at: kind() });
      break;
    }
  }
  await remove(ctx, gone);
  return gone.length;
}

function placeOf({ timestamp, _creationTime }: Event): Infer<typeof vPlace> {
  return { timestamp, creationTime: _creationTime };
}

export const cleanUpRest = internalMutation({
  args: job,
  returns: v.null(),
  handler: async (ctx, job) => {
    await cleanUpBatch(ctx, job);
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
    const events = (bound: (q: any) => any) => ctx.db.query("auditLogs").withIndex("by_timestamp", bound);
    const ranges = place
      ? [
          events((q) => q.eq("timestamp", place.timestamp).gt("_creationTime", place.creationTime)),
          events((q) => q.gt("timestamp", place.timestamp).lt("timestamp", before)),
        ]
      : [events((q) => q.lt("timestamp", before))];
    const budget = new Budget(BATCH);
    const gone: Event[] = [];
    let looked = 0;
    let last: Event | undefined;
    const isOver = () => looked === BATCH_EVENTS || budget.isSpent;
    for (const range of ranges) {
      if (isOver()) {
        break;
      }
      for await (const event of budget.read(range)) {
        looked++;
        last = event;
        if (isAcknowledged(event)) {
          gone.push(event);
        }
        if (isOver()) {
          break;
        }
      }
    }
    await remove(ctx, gone);
    if (last && isOver()) {
      await scheduleEviction(ctx, { before, place: placeOf(last) });
    }
    return null;
  },
});
