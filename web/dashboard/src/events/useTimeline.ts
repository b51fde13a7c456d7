// A list of all events that a filter selects, live or not.
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore, type RefObject } from "react";
import { asError, type SealogError } from "sealog/live";
import { events, stats, useLoaded, type QueryFilters } from "../api";
import { useEvents, type Line } from "../live";
import type { RowsHandle } from "../rows";
import { timesOf } from "../time";
import { Timeline, type TimeRange } from "../timeline";

const FIRST_EVENTS = 200;

export interface Listing {
  timeline: Timeline;
  /** For the rows that show it. */
  handle: RefObject<RowsHandle | null>;
  /** Whether there is a first page. */
  isReady: boolean;
  line: Line;
  /** Why something is not there. */
  failed: SealogError | undefined;
  retry: () => void;
}

/** The filter is another list each time that it is another object. `onAdded` is told how many have come in at the top; 0 where it begins anew. */
export function useTimeline(filter: QueryFilters, isLive: boolean, onAdded?: (added: number) => void): Listing {
  const timeline = useMemo(() => {
    const within = (range: TimeRange) => ({ ...filter, ...timesOf(range) });
    return new Timeline({
      page: (range, limit, cursor) => events({ ...within(range), limit, ...(cursor === null ? {} : { cursor }) }),
      stats: (range, bucketMs) => stats({ ...within(range), top: 1, ...(bucketMs === null ? {} : { bucketMs }) }),
    });
  }, [filter]);
  useEffect(() => () => timeline.close(), [timeline]);
  const handle = useRef<RowsHandle | null>(null);
  const [begun, setBegun] = useState<Timeline>();
  const isReady = begun === timeline;
  useSyncExternalStore(timeline.subscribe, timeline.version);
  const begin = useCallback(
    (items: Parameters<Timeline["begin"]>[1], hasMore: boolean) => {
      void timeline.begin(filter.fromTimestamp == null ? {} : { from: filter.fromTimestamp }, items, hasMore);
      setBegun(timeline);
      onAdded?.(0);
    },
    [timeline, filter],
  );
  const { line, error, again } = useEvents(isLive ? { ...filter, limit: FIRST_EVENTS } : null, {
    onSnapshot: ({ items, hasMore }) => begin(items, hasMore),
    onEvents: (told) => {
      const added = timeline.add(told);
      if (added > 0) {
        handle.current?.shift(added);
        onAdded?.(added);
      }
    },
  });
  // A range that has ended, or a list that is paused, is asked for once.
  const once = useLoaded(isLive || isReady ? null : JSON.stringify(filter), (signal) => events({ ...filter, limit: FIRST_EVENTS }, signal));
  useEffect(() => {
    if (once.data) {
      begin(once.data.items, once.data.hasMore);
    }
  }, [once.data, begin]);
  const retry = () => {
    timeline.retry();
    once.reload();
    again();
  };
  const failed = timeline.error === undefined ? (isReady ? undefined : (once.error ?? (line === "failed" ? error : undefined))) : asError(timeline.error);
  return { timeline, handle, isReady, line, failed, retry };
}
