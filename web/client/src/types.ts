import type { DiffOp } from "./diff.js";
import type { components } from "./generated/openapi.js";

type Schemas = components["schemas"];

/** The server leaves out what is not there; its description also allows `null`. */
type Given<T> = { [K in keyof T]: Exclude<T[K], null> };

export type { DiffOp };
export type Severity = Schemas["Severity"];
export type Outcome = Schemas["Outcome"];

/** What became of an event. By now it is durable, sealed and visible. */
export type Receipt = Given<Schemas["Receipt"]>;

/** What happened. Only the action is required; `severity` is `info` unless given. */
export type AuditEventInput = Given<Omit<Schemas["Event"], "before" | "after" | "changed" | "metadata">> & {
  /** Anything else, by name. What is no object becomes the member `value` of one. */
  metadata?: unknown;
};

/** A change of a resource. `null` is a state too; leave out `before` of what was made and `after` of what is gone. */
export type ChangeEventInput = AuditEventInput & {
  resourceType: string;
  resourceId: string;
  before?: unknown;
  after?: unknown;
  /** For callers who know it from elsewhere: the log makes the diff of every change with both states. */
  generateDiff?: boolean;
};

/** An event as the log holds it. */
export type AuditLogEntry = Given<Omit<Schemas["Record"], "diff" | "metadata" | "before" | "after">> & {
  /** The same as `id`. */
  _id: string;
  /** The same as `recordedAt`. */
  _creationTime: number;
  metadata?: Record<string, unknown>;
  before?: unknown;
  after?: unknown;
  /** What changed, as text: a line `~ key: old → new`, `+ key` or `- key` for each operation. */
  diff?: string;
  /** What changed, as operations. */
  changes?: DiffOp[];
};

/** Which events. What is left out does not matter; what is there must all hold. */
export type QueryFilters = Given<Schemas["Filter"]> & {
  /** The same as `severities`. */
  severity?: Severity[];
  /** The same as `tagsAny`. */
  tags?: string[];
};

/** The same, with conditions as people write them in `q`. */
export type SearchFilters = QueryFilters & {
  /** `actor:u-17 severity>=warning since:7d "reset link"` */
  q?: string;
};

export interface PaginationOptions {
  /** How many events, 1 to 1,000. */
  limit: number;
  /** `cursor` of the page before. */
  cursor?: string | null;
}

export interface PaginatedResult<T> {
  items: T[];
  /** What leads to the page behind this one; `null` where there is none. */
  cursor: string | null;
  hasMore: boolean;
}

export interface QueryByResourceArgs {
  resourceType: string;
  resourceId: string;
  /** How many events, 50 unless given. */
  limit?: number;
  fromTimestamp?: number;
}

export interface QueryByActorArgs {
  actorId: string;
  /** How many events, 50 unless given. */
  limit?: number;
  fromTimestamp?: number;
  actions?: string[];
}

export interface QueryBySeverityArgs {
  severity: Severity[];
  /** How many events, 50 unless given. */
  limit?: number;
  fromTimestamp?: number;
}

export interface QueryByActionArgs {
  /** `user.login`, or `user.*` for each that begins with `user.` */
  action: string;
  /** How many events, 50 unless given. */
  limit?: number;
  fromTimestamp?: number;
}

export interface SearchArgs {
  filters?: SearchFilters;
  pagination?: PaginationOptions;
}

export interface WatchCriticalArgs {
  /** `error` and `critical` unless given. */
  severity?: Severity[];
  /** How many events, 20 unless given. */
  limit?: number;
}

export type StatsArgs = SearchFilters & {
  /** How long the top lists are, 10 unless given. */
  top?: number;
  /** How long a bucket of the series is, in milliseconds; chosen to read well unless given. */
  bucketMs?: number;
};

/** Statistics, exact at every size. */
export interface AuditLogStats {
  totalCount: number;
  bySeverity: Record<Severity, number>;
  topActions: { action: string; count: number }[];
  topActors: { actorId: string; count: number }[];
  /** The length of a bucket, in milliseconds. */
  bucketMs: number;
  series: { start: number; bySeverity: Record<Severity, number> }[];
}

/** `threshold` events of an action within `windowMinutes`. */
export interface AnomalyPattern {
  action: string;
  threshold: number;
  windowMinutes: number;
  /** The pattern's name; its action unless given. */
  name?: string;
  /** Counts apart what each of them did: `actor`, `ipAddress`, `resource`, `session` or `tenant`. */
  groupBy?: "actor" | "ipAddress" | "resource" | "session" | "tenant";
  /** Which other conditions its events meet. */
  filter?: QueryFilters;
}

/** What a pattern finds now. */
export interface Anomaly {
  action: string;
  count: number;
  threshold: number;
  windowMinutes: number;
  /** When the last of its events happened, milliseconds since the Unix epoch. */
  detectedAt: number;
  /** The pattern's name. */
  name: string;
  /** Whose events they are, where the pattern counts apart. */
  group?: string;
  /** The ids of its events, of the first hundred of them. */
  ids: string[];
}

export type ReportFormat = "json" | "ndjson" | "csv" | "html";

export interface ReportArgs<Format extends ReportFormat = ReportFormat> {
  /** The first millisecond; all there is unless given. */
  startDate?: number;
  /** The first millisecond after it. */
  endDate?: number;
  format: Format;
  /** What of each event, in this order: `timestamp`, `time`, `actorId`, `metadata.method`, … */
  includeFields?: string[];
  /** Puts the rows with equal values together. */
  groupBy?: string | string[];
  /** Which events; all of them unless given. */
  filters?: QueryFilters;
  /** Who asks, where a service asks for somebody. */
  requestedBy?: string;
}

export interface Report<Format extends ReportFormat = ReportFormat> {
  format: Format;
  data: string;
  generatedAt: number;
  /** How many events it holds. An HTML report tells it to people only, so there it is `undefined`. */
  recordCount: Format extends "html" ? undefined : number;
}

/** A view token for a browser. */
export type ViewToken = Schemas["MintedToken"];

export interface MintTokenArgs {
  /** What the token shows: a tenant, an actor, a resource, or any other filter. */
  scope: QueryFilters;
  /** For how long it is valid, in milliseconds; a quarter of an hour unless given. */
  ttlMs?: number;
  /** Who it is for: the actor of what is logged of its reads. */
  subject?: string;
}

export interface CleanupOptions {
  /** What is at least so many days old; as the settings say of each kind unless given. */
  olderThanDays?: number;
  /** Removes no events of these severities. */
  preserveSeverity?: Severity[];
  /** Removes events of this retention category only. */
  retentionCategory?: string;
  /** How many events are looked at in one transaction, 1 to 65,536. */
  batchSize?: number;
  /** Removes nothing, and counts what would go. */
  dryRun?: boolean;
}

/** All settings of a log, as the server has them. */
export type Settings = Schemas["Settings"];

/** How a log keeps and hides: the settings by the names that callers know. */
export interface AuditLogConfig {
  /** How many days events are kept; `null` is for ever. */
  defaultRetentionDays: number | null;
  /** The same of critical ones. */
  criticalRetentionDays: number | null;
  /** The same of retention categories. */
  customRetention: { category: string; retentionDays: number | null }[];
  /** Which fields the server hides, besides its default names. */
  piiFieldsToRedact: string[];
  samplingEnabled: boolean;
  /** Which share of `info` events is kept, 0 to 1. */
  samplingRate: number;
  /** All of them. */
  settings: Settings;
}

export type ConfigOptions = Partial<Omit<AuditLogConfig, "piiFieldsToRedact">> & {
  /** Names, which are hidden as they were or else redacted, or names with how; `hash` is the server's alone. */
  piiFieldsToRedact?: (string | { name: string; mode?: "redact" | "mask" | "remove" | "hash" })[];
};

/** What no clean-up may touch. */
export type Hold = Given<Schemas["Hold"]>;
export type PlaceHoldArgs = Omit<Given<Schemas["PlaceHold"]>, "filter"> & { filter: QueryFilters };
export type ErasureArgs = Given<Schemas["Erasure"]>;
export type ErasureReport = Schemas["ErasureReport"];
