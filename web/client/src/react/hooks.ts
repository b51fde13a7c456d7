import { useCallback, useMemo, useState, useSyncExternalStore } from "react";
import type { QueryRef } from "./api.js";
import { LOADING, type Answers, type LiveResult, type LiveStatus, type SearchData } from "./streams.js";
import type { QuestionName } from "../wire.js";
import type {
  Anomaly,
  AnomalyPattern,
  AuditLogEntry,
  AuditLogStats,
  QueryByActionArgs,
  QueryByActorArgs,
  QueryByResourceArgs,
  QueryBySeverityArgs,
  SearchFilters,
  StatsArgs,
  WatchCriticalArgs,
} from "../types.js";
import type { SealogError } from "../error.js";

/** In place of arguments: ask nothing for now. */
export type Skip = "skip";

/** Arguments that moved in time by less stay what they were, in milliseconds. */
const STEADY_MS = 60_000;

const nothing = () => {};
const loading = () => LOADING;

/** What each question is asked with. */
interface Arguments {
  queryByResource: QueryByResourceArgs;
  queryByActor: QueryByActorArgs;
  queryBySeverity: QueryBySeverityArgs;
  queryByAction: QueryByActionArgs;
  watchCritical: WatchCriticalArgs;
  search: { filters?: SearchFilters; pagination?: { limit: number } };
  getStats: StatsArgs;
  detectAnomalies: { patterns: readonly AnomalyPattern[] };
}

/** Arguments, and when they were given. */
interface Steady<T> {
  args: T;
  /** The same with the times apart, by which arguments are compared. */
  text: string;
  times: number[];
  at: number;
  /** What was asked until now, where the times moved on with the clock and nothing else changed. */
  before?: T;
}

/**
 * `fromTimestamp: Date.now() - DAY` is another number at each render. Were each one another question, a component
 * would ask without end; so times that only moved on a little are taken for those before. When it is too much, the
 * answer to those before is shown until there is another one.
 */
function useSteady<T>(args: T, now: number): Steady<T> {
  const next = timed(args, now);
  // State and not a ref: React may drop a render's effects when nothing that it knows of has changed.
  const [held, setHeld] = useState(next);
  const movedBy = (ms: number) =>
    held.text === next.text && held.times.every((time, at) => Math.abs(time + ms - next.times[at]!) < STEADY_MS);
  if (movedBy(0)) {
    return held;
  }
  if (movedBy(now - held.at)) {
    next.before = held.args;
  }
  setHeld(next);
  return next;
}

function timed<T>(args: T, at: number): Steady<T> {
  const times: number[] = [];
  const text = JSON.stringify(args, (name, value: unknown) => {
    if ((name === "fromTimestamp" || name === "toTimestamp") && typeof value === "number") {
      times.push(value);
      return "time";
    }
    return value;
  });
  return { args, text, times, at };
}

function useStream<Name extends QuestionName>(ref: QueryRef<Name>, args: Arguments[Name] | Skip) {
  const { name, streams } = ref;
  const steady = useSteady(args, streams.transport.environment.now());
  const [asked, before] = useMemo(() => {
    const ask = (args: Arguments[Name] | Skip | undefined) =>
      args === undefined || args === "skip" ? undefined : streams.ask(name, args);
    return [ask(steady.args), ask(steady.before)];
  }, [streams, name, steady]);
  const subscribe = useCallback(
    (listener: () => void) => (asked ? streams.stream(asked, before).subscribe(listener) : nothing),
    [streams, asked, before],
  );
  // Rendering begins nothing: a stream is made by whoever listens.
  const stream = useCallback(() => asked && streams.find(asked), [streams, asked]);
  const read = useCallback(() => (stream() ?? (before && streams.find(before)))?.result() ?? LOADING, [stream, streams, before]);
  const shown = useSyncExternalStore(subscribe, read, loading) as LiveResult<Answers[Name]>;
  return { shown, stream };
}

/** A live answer with its status and error. */
export interface AuditLogQueryResult<T> extends LiveResult<T> {
  /** Tries again what was given up. */
  retry: () => void;
}

/** Any question, live, with how it is getting on: the other hooks with status and error. */
export function useAuditLogQuery<Name extends QuestionName>(
  ref: QueryRef<Name>,
  args: Arguments[Name] | Skip,
): AuditLogQueryResult<Answers[Name]> {
  const { shown, stream } = useStream(ref, args);
  const retry = useCallback(() => stream()?.retry(), [stream]);
  return useMemo(() => ({ ...shown, retry }), [shown, retry]);
}

/**
 * What happened to a resource, the newest first, live; `undefined` while it is loading.
 *
 * ```tsx
 * const history = useAuditLogByResource(api.queryByResource, { resourceType: "note", resourceId: id, limit: 20 });
 * ```
 */
export function useAuditLogByResource(
  ref: QueryRef<"queryByResource">,
  args: QueryByResourceArgs | Skip,
): AuditLogEntry[] | undefined {
  return useStream(ref, args).shown.data;
}

/** What an actor did, the newest first, live; `undefined` while it is loading. */
export function useAuditLogByActor(ref: QueryRef<"queryByActor">, args: QueryByActorArgs | Skip): AuditLogEntry[] | undefined {
  return useStream(ref, args).shown.data;
}

/** The newest events that matter most, live; `undefined` while they are loading. */
export function useWatchCriticalEvents(
  ref: QueryRef<"watchCritical">,
  args: WatchCriticalArgs | Skip = {},
): AuditLogEntry[] | undefined {
  return useStream(ref, args).shown.data;
}

/** Statistics, exact and live; `undefined` while they are loading. */
export function useAuditLogStats(ref: QueryRef<"getStats">, args: StatsArgs | Skip = {}): AuditLogStats | undefined {
  return useStream(ref, args).shown.data;
}

/** Which patterns are met, live; `undefined` while it is loading. */
export function useAnomalyDetection(
  ref: QueryRef<"detectAnomalies">,
  args: { patterns: readonly AnomalyPattern[] } | Skip,
): Anomaly[] | undefined {
  return useStream(ref, args).shown.data;
}

export interface AuditLogSearch {
  /** All pages that were loaded, and what came since, the newest first; `undefined` while the first page is loading. */
  events: AuditLogEntry[] | undefined;
  hasMore: boolean;
  isLoadingMore: boolean;
  /** Loads the page behind those that are there. */
  loadMore: () => void;
  status: LiveStatus;
  error: SealogError | undefined;
  retry: () => void;
}

/** A search in pages, live at its head. */
export function useAuditLogSearch(
  ref: QueryRef<"search">,
  args: { filters?: SearchFilters; pageSize?: number } | Skip = {},
): AuditLogSearch {
  const asked = args === "skip" ? args : { filters: args.filters ?? {}, pagination: { limit: args.pageSize ?? 50 } };
  const { shown, stream } = useStream(ref, asked);
  const loadMore = useCallback(() => void stream()?.loadMore(), [stream]);
  const retry = useCallback(() => stream()?.retry(), [stream]);
  return useMemo(() => {
    const data: SearchData | undefined = shown.data;
    return {
      events: data?.events,
      hasMore: data?.hasMore ?? false,
      isLoadingMore: data?.isLoadingMore ?? false,
      loadMore,
      status: shown.status,
      error: shown.error,
      retry,
    };
  }, [shown, loadMore, retry]);
}
