"use client";

import { useQuery } from "convex/react";
import type { FunctionReference } from "convex/server";
import type {
  Anomaly,
  AnomalyPattern,
  AuditLogEntry,
  AuditLogStats,
  ForwardingStatus,
  PaginationOptions,
  QueryFilters,
  Severity,
} from "../component/validators.js";

export { formatTimestamp, getSeverityClass, getSeverityColor } from "sealog/react";
export type {
  Anomaly,
  AnomalyPattern,
  AuditLogEntry,
  AuditLogStats,
  ForwardingStatus,
  Severity,
} from "../component/validators.js";

/** A function of `exposeAuditLogApi`, or one of yours that takes and gives the same. */
type Ref<Args extends Record<string, any>, Answer> = FunctionReference<"query", "public", Args, Answer>;

/** A list as it is exposed: plain, or with whether it is complete where `withComplete` is `true`. */
export type Listed<T> = T[] | { items: T[]; complete: boolean };

export interface ByResourceArgs {
  resourceType: string;
  resourceId: string;
  limit?: number;
  fromTimestamp?: number;
}

export interface ByActorArgs {
  actorId: string;
  limit?: number;
  fromTimestamp?: number;
  actions?: string[];
}

export interface SearchArgs {
  filters: QueryFilters;
  pagination: PaginationOptions;
}

export interface SearchPage {
  items: AuditLogEntry[];
  cursor: string | null;
  hasMore: boolean;
  complete: boolean;
}

/** What happened to a resource, the newest first, as it happens. `undefined` while it loads; `"skip"` asks nothing. */
export function useAuditLogByResource<Answer extends Listed<AuditLogEntry>>(
  query: Ref<ByResourceArgs, Answer>,
  args: ByResourceArgs | "skip",
): Answer | undefined {
  return useQuery(query, args);
}

/** What an actor did. */
export function useAuditLogByActor<Answer extends Listed<AuditLogEntry>>(
  query: Ref<ByActorArgs, Answer>,
  args: ByActorArgs | "skip",
): Answer | undefined {
  return useQuery(query, args);
}

/** The newest errors and critical events. */
export function useWatchCriticalEvents<Answer extends Listed<AuditLogEntry>>(
  query: Ref<{ severity?: Severity[]; limit?: number }, Answer>,
  args: { severity?: Severity[]; limit?: number } | "skip" = {},
): Answer | undefined {
  return useQuery(query, args);
}

/** How many events there are, and what and who is most frequent. */
export function useAuditLogStats(
  query: Ref<{ fromTimestamp?: number; toTimestamp?: number }, AuditLogStats>,
  args: { fromTimestamp?: number; toTimestamp?: number } | "skip" = {},
): AuditLogStats | undefined {
  return useQuery(query, args);
}

/** Which patterns are met now. */
export function useAnomalyDetection<Answer extends Listed<Anomaly>>(
  query: Ref<{ patterns: AnomalyPattern[] }, Answer>,
  args: { patterns: AnomalyPattern[] } | "skip",
): Answer | undefined {
  return useQuery(query, args);
}

/** A page of all that filters select. */
export function useAuditLogSearch(query: Ref<SearchArgs, SearchPage>, args: SearchArgs | "skip"): SearchPage | undefined {
  return useQuery(query, args);
}

/** How forwarding to the server stands. */
export function useForwardingStatus(query: Ref<Record<string, never>, ForwardingStatus>): ForwardingStatus | undefined {
  return useQuery(query, {});
}
