import { v, type Infer } from "convex/values";

/**
 * How much it matters: `info` for what is usual, `warning` for what may matter, `error` for what failed, `critical`
 * for what somebody must see.
 */
export const vSeverity = v.union(v.literal("info"), v.literal("warning"), v.literal("error"), v.literal("critical"));
export type Severity = Infer<typeof vSeverity>;
export const SEVERITIES: readonly Severity[] = ["info", "warning", "error", "critical"];

/** What a caller says of an event; severity and time have defaults. */
const said = {
  action: v.string(),
  actorId: v.optional(v.string()),
  actorName: v.optional(v.string()),
  actorType: v.optional(v.string()),
  onBehalfOf: v.optional(v.string()),
  resourceType: v.optional(v.string()),
  resourceId: v.optional(v.string()),
  metadata: v.optional(v.any()),
  outcome: v.optional(v.union(v.literal("success"), v.literal("failure"), v.literal("denied"))),
  ipAddress: v.optional(v.string()),
  userAgent: v.optional(v.string()),
  sessionId: v.optional(v.string()),
  requestId: v.optional(v.string()),
  tenant: v.optional(v.string()),
  tags: v.optional(v.array(v.string())),
  before: v.optional(v.any()),
  after: v.optional(v.any()),
  retentionCategory: v.optional(v.string()),
  /** The caller's id: sent twice it is one event. */
  id: v.optional(v.string()),
};

/** An event as it is stored and shown. */
export const vEventFields = {
  ...said,
  severity: vSeverity,
  /** When it happened, milliseconds since the Unix epoch. */
  timestamp: v.number(),
  /** What changed, as text: a line `~ key: old → new`, `+ key` or `- key` for each. */
  diff: v.optional(v.string()),
  /** Its place in the Sealog server's log, once it is there. */
  seq: v.optional(v.number()),
  /** The size of the tree that first held it. */
  treeSize: v.optional(v.number()),
  /** The server's own sampling left it out. */
  sampled: v.optional(v.boolean()),
  /** Why the server refused it, if it did. */
  refused: v.optional(v.object({ code: v.string(), message: v.string() })),
};
export const vEvent = v.object({ ...vEventFields, _id: v.string(), _creationTime: v.number() });
export type AuditLogEntry = Infer<typeof vEvent>;

/** An event on its way in, hidden what the client hides. */
export const vNewEvent = v.object({
  ...said,
  severity: v.optional(vSeverity),
  timestamp: v.optional(v.number()),
  changed: v.optional(v.array(v.string())),
  generateDiff: v.optional(v.boolean()),
});
export type NewEvent = Infer<typeof vNewEvent>;

export const vFilters = v.object({
  severity: v.optional(v.array(vSeverity)),
  actions: v.optional(v.array(v.string())),
  resourceTypes: v.optional(v.array(v.string())),
  actorIds: v.optional(v.array(v.string())),
  fromTimestamp: v.optional(v.number()),
  toTimestamp: v.optional(v.number()),
  tags: v.optional(v.array(v.string())),
});
export type QueryFilters = Infer<typeof vFilters>;

export const vPagination = v.object({ cursor: v.optional(v.union(v.string(), v.null())), limit: v.number() });
export type PaginationOptions = Infer<typeof vPagination>;

/** A list's answer. */
export const vList = v.object({ items: v.array(vEvent), complete: v.boolean() });
export const vPage = v.object({
  items: v.array(vEvent),
  cursor: v.union(v.string(), v.null()),
  hasMore: v.boolean(),
  complete: v.boolean(),
});

export const vStats = v.object({
  totalCount: v.number(),
  bySeverity: v.object({ info: v.number(), warning: v.number(), error: v.number(), critical: v.number() }),
  topActions: v.array(v.object({ action: v.string(), count: v.number() })),
  topActors: v.array(v.object({ actorId: v.string(), count: v.number() })),
  complete: v.boolean(),
});
export type AuditLogStats = Infer<typeof vStats>;

export const vPattern = v.object({
  action: v.string(),
  threshold: v.number(),
  windowMinutes: v.number(),
  name: v.optional(v.string()),
  groupBy: v.optional(
    v.union(v.literal("actor"), v.literal("ipAddress"), v.literal("resource"), v.literal("session"), v.literal("tenant")),
  ),
  filter: v.optional(vFilters),
});
export type AnomalyPattern = Infer<typeof vPattern>;
export const vAnomaly = v.object({
  action: v.string(),
  count: v.number(),
  threshold: v.number(),
  windowMinutes: v.number(),
  detectedAt: v.number(),
  name: v.string(),
  group: v.optional(v.string()),
});
export type Anomaly = Infer<typeof vAnomaly>;
export const vAnomalies = v.object({ items: v.array(vAnomaly), complete: v.boolean() });

export const vReportFormat = v.union(v.literal("json"), v.literal("csv"));
export const reportArgs = {
  startDate: v.number(),
  endDate: v.number(),
  format: vReportFormat,
  includeFields: v.optional(v.array(v.string())),
  groupBy: v.optional(v.string()),
  maxRecords: v.optional(v.number()),
  cursor: v.optional(v.union(v.string(), v.null())),
};
const vReportArgs = v.object(reportArgs);
export type ReportArgs = Infer<typeof vReportArgs>;
export const vReport = v.object({
  format: vReportFormat,
  data: v.string(),
  generatedAt: v.number(),
  recordCount: v.number(),
  truncated: v.boolean(),
  cursor: v.union(v.string(), v.null()),
  complete: v.boolean(),
});
export type Report = Infer<typeof vReport>;

export const cleanupArgs = {
  olderThanDays: v.optional(v.number()),
  preserveSeverity: v.optional(v.array(vSeverity)),
  retentionCategory: v.optional(v.string()),
  batchSize: v.optional(v.number()),
  /** Whether those that the server refused go as well: they are nowhere else. */
  includeRefused: v.optional(v.boolean()),
};
const vCleanupArgs = v.object(cleanupArgs);
export type CleanupOptions = Infer<typeof vCleanupArgs>;

/** Days that are none would make a time of which everything is too old. */
export function checkDays(...days: (number | null | undefined)[]): void {
  if (!days.every((count) => (count ?? 0) >= 0 && Number.isFinite(count ?? 0))) {
    throw new Error("days are counted from 0 on");
  }
}

export const vRetention = v.object({ category: v.string(), retentionDays: v.number() });
export const configArgs = {
  defaultRetentionDays: v.optional(v.number()),
  criticalRetentionDays: v.optional(v.number()),
  piiFieldsToRedact: v.optional(v.array(v.string())),
  samplingEnabled: v.optional(v.boolean()),
  samplingRate: v.optional(v.number()),
  customRetention: v.optional(v.array(vRetention)),
  /** How many days acknowledged events stay in Convex; `null` is as long as they are kept at all. */
  keepDays: v.optional(v.union(v.number(), v.null())),
};
const vConfigArgs = v.object(configArgs);
export type ConfigOptions = Infer<typeof vConfigArgs>;

/** How long events are kept where the settings say nothing. */
export const vDefaults = v.object({
  defaultRetentionDays: v.optional(v.number()),
  criticalRetentionDays: v.optional(v.number()),
});
export type Defaults = Infer<typeof vDefaults>;

export const vForwardingStatus = v.object({
  state: v.union(v.literal("off"), v.literal("idle"), v.literal("sending"), v.literal("waiting")),
  /** How many events wait; counted up to 1,000, or 4 MiB of them. */
  pending: v.number(),
  /** When the oldest of them was logged. */
  oldestPendingAt: v.union(v.number(), v.null()),
  /** How many events the server has refused; counted as far as those that wait. */
  refused: v.number(),
  /** How many events the server has acknowledged. */
  acknowledged: v.number(),
  lastSeq: v.union(v.number(), v.null()),
  treeSize: v.union(v.number(), v.null()),
  failures: v.number(),
  error: v.union(v.object({ code: v.string(), message: v.string(), at: v.number() }), v.null()),
  nextAttemptAt: v.union(v.number(), v.null()),
});
export type ForwardingStatus = Infer<typeof vForwardingStatus>;

/** How many events a list has unless told otherwise, and at the most: Convex knows no longer arrays. */
export const LIST_EVENTS = 50;
export const WATCHED_EVENTS = 20;
export const MAX_LIMIT = 8_192;
/** How many events a page of a report has unless told otherwise, and at the most. It is a text. */
export const MAX_RECORDS = 10_000;
/** What is watched unless told otherwise. */
export const WATCHED: Severity[] = ["error", "critical"];

export function checkLimit(limit: number, most: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > most) {
    throw new Error(`a limit is a whole number from 1 to ${most}`);
  }
}

/** The arguments of the questions that tables and server answer by the same names. */
export const questionArgs = {
  queryByResource: {
    resourceType: v.string(),
    resourceId: v.string(),
    limit: v.optional(v.number()),
    fromTimestamp: v.optional(v.number()),
  },
  queryByActor: {
    actorId: v.string(),
    limit: v.optional(v.number()),
    fromTimestamp: v.optional(v.number()),
    actions: v.optional(v.array(v.string())),
  },
  queryBySeverity: {
    severity: v.array(vSeverity),
    limit: v.optional(v.number()),
    fromTimestamp: v.optional(v.number()),
  },
  queryByAction: {
    action: v.string(),
    limit: v.optional(v.number()),
    fromTimestamp: v.optional(v.number()),
  },
  search: { filters: vFilters, pagination: vPagination },
  watchCritical: { severity: v.optional(v.array(vSeverity)), limit: v.optional(v.number()) },
  get: { id: v.string() },
  getStats: { fromTimestamp: v.optional(v.number()), toTimestamp: v.optional(v.number()) },
  detectAnomalies: { patterns: v.array(vPattern) },
  generateReport: reportArgs,
};
