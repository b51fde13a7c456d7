// The same questions, answered by the server: of the whole history, and also of what has left the tables. What has not
// been forwarded yet is not in these answers.
import { v } from "convex/values";
import type { AuditLogEntry as Remote } from "sealog";
import { action } from "./_generated/server.js";
import { server } from "./forwarding.js";
import { DEFAULT_FIELDS } from "./reports.js";
import {
  questionArgs,
  vAnomalies,
  vEvent,
  vList,
  vPage,
  vReport,
  vStats,
  type AuditLogEntry,
  type QueryFilters,
} from "./validators.js";

const DAY_MS = 24 * 60 * 60_000;

/** An event as the tables tell it. Its `id` at the server is its `_id`. */
function entryOf({ id: _, recordedAt: __, changes: ___, ...entry }: Remote): AuditLogEntry {
  return entry;
}

/** The server's ranges end before their last moment, those of the tables with it. */
function filtersOf({ toTimestamp, ...filters }: QueryFilters): QueryFilters {
  return { ...filters, ...(toTimestamp === undefined ? {} : { toTimestamp: toTimestamp + 1 }) };
}

const reader = () => server("SEALOG_READ_KEY");
const listOf = (events: Remote[]) => ({ items: events.map(entryOf), complete: true });

export const queryByResource = action({
  args: questionArgs.queryByResource,
  returns: vList,
  handler: async (_, args) => listOf(await reader().queryByResource(args)),
});

export const queryByActor = action({
  args: questionArgs.queryByActor,
  returns: vList,
  handler: async (_, args) => listOf(await reader().queryByActor(args)),
});

export const queryBySeverity = action({
  args: questionArgs.queryBySeverity,
  returns: vList,
  handler: async (_, args) => listOf(args.severity.length === 0 ? [] : await reader().queryBySeverity(args)),
});

export const queryByAction = action({
  args: questionArgs.queryByAction,
  returns: vList,
  handler: async (_, args) => listOf(await reader().queryByAction(args)),
});

export const watchCritical = action({
  args: questionArgs.watchCritical,
  returns: vList,
  handler: async (_, args) => listOf(await reader().watchCritical(args)),
});

export const search = action({
  args: questionArgs.search,
  returns: vPage,
  handler: async (_, { filters, pagination: { limit, cursor = null } }) => {
    const { items, ...page } = await reader().search({ filters: filtersOf(filters), pagination: { limit, cursor } });
    return { ...page, ...listOf(items) };
  },
});

export const get = action({
  args: questionArgs.get,
  returns: v.union(v.null(), vEvent),
  handler: async (_, { id }) => {
    const event = await reader().get(id);
    return event && entryOf(event);
  },
});

export const getStats = action({
  args: questionArgs.getStats,
  returns: vStats,
  handler: async (_, { fromTimestamp = Date.now() - DAY_MS, ...rest }) => {
    const { totalCount, bySeverity, topActions, topActors } = await reader().getStats(filtersOf({ fromTimestamp, ...rest }));
    return { totalCount, bySeverity, topActions, topActors, complete: true };
  },
});

export const detectAnomalies = action({
  args: questionArgs.detectAnomalies,
  returns: vAnomalies,
  handler: async (_, { patterns }) => {
    const asked = patterns.map(({ filter, ...pattern }) => ({ ...pattern, ...(filter ? { filter: filtersOf(filter) } : {}) }));
    const found = await reader().detectAnomalies(asked);
    return { items: found.map(({ ids: _, ...anomaly }) => anomaly), complete: true };
  },
});

export const generateReport = action({
  args: questionArgs.generateReport,
  returns: vReport,
  handler: async (_, { startDate, endDate, format, includeFields = DEFAULT_FIELDS, groupBy }) => {
    const asked = { startDate, endDate: endDate + 1, format, includeFields, ...(groupBy === undefined ? {} : { groupBy }) };
    const { data, generatedAt, recordCount } = await reader().generateReport(asked);
    return {
      format,
      data: format === "csv" ? data : JSON.stringify(rowsOf(JSON.parse(data), groupBy), null, 2),
      generatedAt,
      recordCount: recordCount ?? 0,
      truncated: false,
      cursor: null,
      complete: true,
    };
  },
});

/** The rows alone, as the tables report them. */
function rowsOf(
  report: { rows?: unknown[]; groups?: { group: Record<string, unknown>; rows: unknown[] }[] },
  groupBy: string | undefined,
) {
  if (groupBy === undefined) {
    return report.rows ?? [];
  }
  return Object.fromEntries(
    (report.groups ?? []).map(({ group, rows }) => {
      const value = group[groupBy] ?? "unknown";
      return [typeof value === "string" ? value : JSON.stringify(value), rows];
    }),
  );
}

/** What shows that an event is in the server's log: a file that `verifyProof` of `sealog` checks, and any other program. */
export const getProof = action({
  args: questionArgs.get,
  returns: v.string(),
  handler: async (_, { id }) => reader().getProof(id),
});
