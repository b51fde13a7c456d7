// What the component can do: an application reaches it through the class `AuditLog`.
import { v } from "convex/values";
import { mutation, query, type DatabaseReader } from "./_generated/server.js";
import { detect } from "./anomalies.js";
import { tallyOf } from "./counters.js";
import { entryOf, store } from "./events.js";
import { forwardAgain as sendAgain, statusOf } from "./forwarding.js";
import { reportText } from "./reports.js";
import { cleanUp, CRITICAL_RETENTION_DAYS, DEFAULT_RETENTION_DAYS } from "./retention.js";
import { page, readCursor, writeCursor, type Selection } from "./streams.js";
import {
  checkDays,
  checkLimit,
  cleanupArgs,
  configArgs,
  LIST_EVENTS,
  MAX_LIMIT,
  MAX_RECORDS,
  questionArgs,
  vAnomalies,
  vDefaults,
  vEvent,
  vForwardingStatus,
  vList,
  vNewEvent,
  vPage,
  vReport,
  vRetention,
  vStats,
  WATCHED,
  WATCHED_EVENTS,
  type AuditLogEntry,
} from "./validators.js";

/** How long the top lists are. */
const TOP = 10;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

export const log = mutation({
  args: { event: vNewEvent, sampling: v.optional(v.number()) },
  returns: v.string(),
  handler: async (ctx, { event, sampling }) => (await store(ctx, [event], sampling))[0]!,
});

export const logBulk = mutation({
  args: {
    events: v.array(vNewEvent),
    /** The share of `info` events that is kept; `null` for all of them, whatever the settings say. */
    sampling: v.optional(v.union(v.number(), v.null())),
  },
  returns: v.array(v.string()),
  handler: async (ctx, { events, sampling }) => store(ctx, events, sampling),
});

/** Since when every event is here: those before may be with the server. */
async function since(db: DatabaseReader): Promise<number> {
  return (await db.query("coverage").first())?.since ?? Number.NEGATIVE_INFINITY;
}

/** The newest events that are selected. */
async function list(
  db: DatabaseReader,
  selection: Selection,
  limit: number,
): Promise<{ items: AuditLogEntry[]; complete: boolean }> {
  const { items, complete, next } = await select(db, selection, limit);
  if (next && items.length < limit) {
    throw new Error("these events are too large to be read at once; ask for fewer");
  }
  return { items, complete };
}

async function select(db: DatabaseReader, selection: Selection, limit: number, cursor?: string | null) {
  checkLimit(limit, MAX_LIMIT);
  const { items, next } = await page(db, selection, { limit, order: "desc", after: readCursor(cursor) });
  // It is complete if it did not come to where events have left for the server.
  const reached = next?.timestamp ?? selection.fromTimestamp ?? Number.NEGATIVE_INFINITY;
  const lowest = items.length === limit ? items.at(-1)!.timestamp : reached;
  return { items: items.map(entryOf), next, complete: lowest >= (await since(db)) };
}

export const queryByResource = query({
  args: questionArgs.queryByResource,
  returns: vList,
  handler: async (ctx, { resourceType: type, resourceId: id, limit = LIST_EVENTS, ...rest }) =>
    list(ctx.db, { ...rest, resource: { type, id } }, limit),
});

export const queryByActor = query({
  args: questionArgs.queryByActor,
  returns: vList,
  handler: async (ctx, { actorId, limit = LIST_EVENTS, ...rest }) => list(ctx.db, { ...rest, actorIds: [actorId] }, limit),
});

export const queryBySeverity = query({
  args: questionArgs.queryBySeverity,
  returns: vList,
  handler: async (ctx, { severity, limit = LIST_EVENTS, ...rest }) =>
    severity.length === 0 ? { items: [], complete: true } : list(ctx.db, { ...rest, severity }, limit),
});

export const queryByAction = query({
  args: questionArgs.queryByAction,
  returns: vList,
  handler: async (ctx, { action, limit = LIST_EVENTS, ...rest }) => list(ctx.db, { ...rest, actions: [action] }, limit),
});

export const watchCritical = query({
  args: questionArgs.watchCritical,
  returns: vList,
  handler: async (ctx, { severity = WATCHED, limit = WATCHED_EVENTS }) =>
    severity.length === 0 ? { items: [], complete: true } : list(ctx.db, { severity }, limit),
});

export const search = query({
  args: questionArgs.search,
  returns: vPage,
  handler: async (ctx, { filters, pagination: { limit, cursor } }) => {
    const { items, next, complete } = await select(ctx.db, filters, limit, cursor);
    if (next) {
      return { items, cursor: writeCursor(next), hasMore: true, complete };
    }
    // The last page says that there is nothing else down to where was asked for.
    const lowest = filters.fromTimestamp ?? Number.NEGATIVE_INFINITY;
    return { items, cursor: null, hasMore: false, complete: lowest >= (await since(ctx.db)) };
  },
});

export const get = query({
  args: questionArgs.get,
  returns: v.union(v.null(), vEvent),
  handler: async (ctx, { id }) => {
    const _id = ctx.db.normalizeId("auditLogs", id);
    const event = _id && (await ctx.db.get(_id));
    // `null` would say that there never was one.
    if (_id && !event && (await ctx.db.query("coverage").first())) {
      throw new Error(`the event ${id} is not in Convex any more; the server may have it`);
    }
    return event ? entryOf(event) : null;
  },
});

export const getStats = query({
  args: questionArgs.getStats,
  returns: vStats,
  handler: async (ctx, { fromTimestamp = Date.now() - DAY_MS, toTimestamp = Number.MAX_SAFE_INTEGER }) => {
    const tally = await tallyOf(ctx.db, fromTimestamp, toTimestamp + 1);
    const top = (counts: Map<string, number>) =>
      [...counts]
        .filter(([, count]) => count > 0)
        .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
        .slice(0, TOP);
    return {
      totalCount: Object.values(tally.severities).reduce((sum, count) => sum + count, 0),
      bySeverity: tally.severities,
      topActions: top(tally.actions).map(([action, count]) => ({ action, count })),
      topActors: top(tally.actors).map(([actorId, count]) => ({ actorId, count })),
      complete: fromTimestamp >= (await since(ctx.db)),
    };
  },
});

export const detectAnomalies = query({
  args: questionArgs.detectAnomalies,
  returns: vAnomalies,
  handler: async (ctx, { patterns }) => {
    const reached = Date.now() - Math.max(0, ...patterns.map(({ windowMinutes }) => windowMinutes)) * MINUTE_MS;
    return { items: await detect(ctx.db, patterns), complete: reached >= (await since(ctx.db)) };
  },
});

export const generateReport = query({
  args: questionArgs.generateReport,
  returns: vReport,
  handler: async (ctx, { startDate, endDate, maxRecords = MAX_RECORDS, cursor, ...rest }) => {
    checkLimit(maxRecords, MAX_RECORDS);
    const selection = { fromTimestamp: startDate, toTimestamp: endDate };
    const { items, next } = await page(ctx.db, selection, { limit: maxRecords, order: "asc", after: readCursor(cursor) });
    return {
      format: rest.format,
      data: reportText(items.map(entryOf), rest, cursor === undefined || cursor === null),
      generatedAt: Date.now(),
      recordCount: items.length,
      truncated: next !== undefined,
      cursor: next ? writeCursor(next) : null,
      complete: startDate >= (await since(ctx.db)),
    };
  },
});

export const coverage = query({
  args: {},
  returns: v.union(v.null(), v.number()),
  handler: async (ctx) => (await ctx.db.query("coverage").first())?.since ?? null,
});

export const forwardingStatus = query({
  args: {},
  returns: vForwardingStatus,
  handler: async (ctx) => statusOf(ctx.db),
});

export const forwardAgain = mutation({
  args: {},
  returns: v.number(),
  handler: async (ctx) => sendAgain(ctx),
});

export const cleanup = mutation({
  args: { ...cleanupArgs, defaults: v.optional(vDefaults) },
  returns: v.number(),
  handler: async (ctx, { defaults = {}, ...options }) => cleanUp(ctx, options, defaults),
});

export const getConfig = query({
  args: { defaults: v.optional(vDefaults) },
  returns: v.union(
    v.null(),
    v.object({
      _id: v.string(),
      _creationTime: v.number(),
      defaultRetentionDays: v.number(),
      criticalRetentionDays: v.number(),
      piiFieldsToRedact: v.array(v.string()),
      samplingEnabled: v.boolean(),
      samplingRate: v.number(),
      customRetention: v.optional(v.array(vRetention)),
      keepDays: v.optional(v.union(v.number(), v.null())),
    }),
  ),
  handler: async (ctx, { defaults }) => {
    const config = await ctx.db.query("config").first();
    return (
      config && {
        defaultRetentionDays: DEFAULT_RETENTION_DAYS,
        criticalRetentionDays: CRITICAL_RETENTION_DAYS,
        piiFieldsToRedact: [],
        samplingEnabled: false,
        samplingRate: 1,
        ...defaults,
        ...config,
      }
    );
  },
});

export const updateConfig = mutation({
  args: configArgs,
  returns: v.string(),
  handler: async (ctx, change) => {
    const { samplingRate = 1, customRetention = [] } = change;
    if (!(samplingRate >= 0 && samplingRate <= 1)) {
      throw new Error("samplingRate is a share, from 0 to 1");
    }
    const ofCategories = customRetention.map(({ retentionDays }) => retentionDays);
    checkDays(change.defaultRetentionDays, change.criticalRetentionDays, change.keepDays, ...ofCategories);
    const config = await ctx.db.query("config").first();
    if (config) {
      await ctx.db.patch(config._id, change);
      return config._id;
    }
    return ctx.db.insert("config", change);
  },
});
