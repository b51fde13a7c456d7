// How what callers know and what the server speaks become each other.
import { readableDiff, type DiffOp } from "./diff.js";
import { SealogError } from "./error.js";
import type { components, paths } from "./generated/openapi.js";
import { isObject } from "./json.js";
import type {
  Anomaly,
  AnomalyPattern,
  AuditLogEntry,
  AuditLogStats,
  PaginatedResult,
  QueryByActionArgs,
  QueryByActorArgs,
  QueryByResourceArgs,
  QueryBySeverityArgs,
  QueryFilters,
  SearchArgs,
  StatsArgs,
  WatchCriticalArgs,
} from "./types.js";

/** What is asked, by its address and, where it is posted, its body. */
export interface Question {
  path: string;
  query: string;
  body?: string;
  /** It selects nothing, so the answer is known: without its list of severities it would ask for all events. */
  isEmpty?: boolean;
}

const MINUTE_MS = 60_000;

export function bad(what: string): SealogError {
  return new SealogError("bad_answer", `the answer holds ${what}: this is no Sealog server, or another version of it`, {
    retryable: true,
  });
}

export function entryOf(record: unknown): AuditLogEntry {
  if (!isObject(record) || typeof record.id !== "string" || typeof record.seq !== "number") {
    throw bad("no event where one should be");
  }
  const { diff, ...rest } = record;
  const entry = { ...rest, _id: record.id, _creationTime: record.recordedAt } as unknown as AuditLogEntry;
  if (Array.isArray(diff)) {
    entry.changes = diff as unknown as DiffOp[];
    entry.diff = readableDiff(entry.changes);
  }
  return entry;
}

export function pageOf(answer: unknown): PaginatedResult<AuditLogEntry> {
  if (!isObject(answer) || !Array.isArray(answer.events)) {
    throw bad("no page of events");
  }
  const cursor = typeof answer.nextCursor === "string" ? answer.nextCursor : null;
  return { items: answer.events.map(entryOf), cursor, hasMore: answer.hasMore === true };
}

export function statsOf(answer: unknown): AuditLogStats {
  if (!isObject(answer) || typeof answer.total !== "number" || !Array.isArray(answer.topActions)) {
    throw bad("no statistics");
  }
  const { total, topActions, topActors, ...rest } = answer as Record<string, unknown>;
  const top = topActions as { value: string; count: number }[];
  const actors = topActors as { value: string; count: number }[];
  return {
    ...(rest as unknown as AuditLogStats),
    totalCount: total as number,
    topActions: top.map(({ value, count }) => ({ action: value, count })),
    topActors: actors.map(({ value, count }) => ({ actorId: value, count })),
  };
}

export function anomaliesOf(answer: unknown, patterns: readonly AnomalyPattern[]): Anomaly[] {
  if (!isObject(answer) || !Array.isArray(answer.findings)) {
    throw bad("no findings");
  }
  const byName = new Map(ruleNames(patterns).map((name, index) => [name, patterns[index]!]));
  return (answer.findings as unknown as components["schemas"]["Finding"][]).map((finding) => ({
    action: byName.get(finding.rule)?.action ?? finding.rule,
    count: finding.count,
    threshold: finding.threshold,
    windowMinutes: finding.windowMs / MINUTE_MS,
    detectedAt: finding.last.timestamp,
    name: finding.rule,
    ...(typeof finding.group === "string" ? { group: finding.group } : {}),
    ids: finding.ids,
  }));
}

/** Each rule has a name of its own: two patterns for one action are told apart by their place. */
function ruleNames(patterns: readonly AnomalyPattern[]): string[] {
  const names = patterns.map((pattern) => pattern.name ?? pattern.action);
  return names.map((name, index) => (names.indexOf(name) === index ? name : `${name} (${index + 1})`));
}

export function filterBody(filters: QueryFilters): Record<string, unknown> {
  const { severity, tags, ...rest } = filters;
  return {
    ...rest,
    ...(severity ? { severities: [...(rest.severities ?? []), ...severity] } : {}),
    ...(tags ? { tagsAny: [...(rest.tagsAny ?? []), ...tags] } : {}),
  };
}

/**
 * A query string: lists repeat their name, and what is not given is left out. Not so what is missing in a list: whoever
 * asks for the events of an actor that is not known must not get everybody's.
 */
export function queryString(parameters: Record<string, unknown>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filterBody(parameters as QueryFilters))) {
    if (name === "resource" && isObject(value)) {
      query.append(name, resourceText(String(value.type), String(value.id)));
      continue;
    }
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined && item !== null) {
        query.append(name, String(item));
      } else if (item !== value) {
        throw new SealogError("invalid_argument", `${name} holds ${String(item)}`);
      }
    }
  }
  // One order for one question, so that those who ask the same share a stream.
  query.sort();
  return query.toString();
}

/** Type and id with a `:` between them. */
function resourceText(type: string, id: string): string {
  const escape = (text: string) => text.replace(/[\\:]/g, "\\$&");
  return `${escape(type)}:${escape(id)}`;
}

function bySeverity(parameters: QueryBySeverityArgs): Question {
  return { ...events({ ...parameters }), isEmpty: parameters.severity.length === 0 };
}

function events(parameters: Record<string, unknown>): Question {
  return { path: "/v1/events" satisfies keyof paths, query: queryString(parameters) };
}

/** The questions that callers know by name. */
export const questions = {
  queryByResource: ({ resourceType, resourceId, ...rest }: QueryByResourceArgs) =>
    events({ ...rest, resource: { type: resourceType, id: resourceId } }),
  queryByActor: ({ actorId, ...rest }: QueryByActorArgs) => events({ ...rest, actorIds: [actorId] }),
  queryBySeverity: bySeverity,
  queryByAction: ({ action, ...rest }: QueryByActionArgs) => events({ ...rest, actions: [action] }),
  watchCritical: ({ severity = ["error", "critical"], limit = 20 }: WatchCriticalArgs = {}) => bySeverity({ severity, limit }),
  search: ({ filters = {}, pagination }: SearchArgs = {}) => events({ ...filters, ...pagination }),
  getStats: (args: StatsArgs = {}) => ({ path: "/v1/stats" satisfies keyof paths, query: queryString(args) }) as Question,
  detectAnomalies: ({ patterns }: { patterns: readonly AnomalyPattern[] }): Question => {
    const names = ruleNames(patterns);
    const rules = patterns.map(({ action, threshold, windowMinutes, groupBy, filter }, index) => ({
      name: names[index],
      ...(filter ? { filter: filterBody({ ...filter, actions: [action] }) } : { action }),
      threshold,
      windowMs: windowMinutes * MINUTE_MS,
      ...(groupBy ? { groupBy } : {}),
    }));
    return { path: "/v1/anomalies" satisfies keyof paths, query: "", body: JSON.stringify({ rules, standing: true }) };
  },
};

/** The name of a question. */
export type QuestionName = keyof typeof questions;
