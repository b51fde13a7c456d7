// What is told live, gathered: a page is drawn some times a second, however many events come.
import { useEffect, useRef, useState } from "react";
import { Connection, entryOf, pageOf, queryString, type SealogError } from "sealog/live";
import { transport, type AuditLogEntry } from "./api";

/** How long what was told is gathered before it is shown, in milliseconds. */
const GATHER_MS = 120;
/** After so long out of sight a stream begins anew, in milliseconds, and does not tell all that was missed. */
const RESYNC_AFTER_MS = 20_000;
/** So long a page is hidden before its stream rests, in milliseconds. */
const HIDE_AFTER_MS = 5_000;

export type Line = "connecting" | "live" | "reconnecting" | "paused" | "failed";

export interface Told {
  onSnapshot(page: { items: AuditLogEntry[]; hasMore: boolean; cursor: string | null }): void;
  onEvents(events: AuditLogEntry[]): void;
}

/** A stream of events by a filter; `null` is none. What it tells is gathered for `gatherMs`. Answers how the line is. */
export function useEvents(filter: Record<string, unknown> | null, told: Told, gatherMs = GATHER_MS): { line: Line; error: SealogError | undefined; again: () => void } {
  const query = filter === null ? null : queryString(filter);
  const [state, setState] = useState<{ line: Line; error: SealogError | undefined }>({ line: "connecting", error: undefined });
  const latest = useRef(told);
  latest.current = told;
  const stream = useRef<Connection>(undefined);
  useEffect(() => {
    if (query === null) {
      return;
    }
    let gathered: AuditLogEntry[] = [];
    let timer: number | undefined;
    let hiding: number | undefined;
    let wasOpen = false;
    const flush = () => {
      timer = undefined;
      const events = gathered;
      gathered = [];
      if (events.length > 0) {
        latest.current.onEvents(events);
      }
    };
    const connection = new Connection(transport(), { path: "/v1/events", query }, {
      resyncAfterMs: RESYNC_AFTER_MS,
      onFrames(frames) {
        for (const { event, data } of frames) {
          if (event === "snapshot") {
            gathered = [];
            latest.current.onSnapshot(pageOf(JSON.parse(data!)));
          } else if (event === "event") {
            gathered.push(entryOf(JSON.parse(data!)));
          }
        }
        timer ??= window.setTimeout(flush, gatherMs);
      },
      onPhase(phase, error) {
        wasOpen ||= phase === "open";
        const line = phase === "open" ? "live" : phase === "failed" ? "failed" : phase === "paused" ? "paused" : wasOpen ? "reconnecting" : "connecting";
        setState({ line, error: phase === "open" ? undefined : error });
      },
    });
    stream.current = connection;
    const onVisibility = () => {
      clearTimeout(hiding);
      if (document.visibilityState === "hidden") {
        hiding = window.setTimeout(() => connection.setHidden(true), HIDE_AFTER_MS);
      } else {
        connection.setHidden(false);
      }
    };
    document.addEventListener("visibilitychange", onVisibility);
    setState({ line: "connecting", error: undefined });
    connection.start();
    return () => {
      document.removeEventListener("visibilitychange", onVisibility);
      clearTimeout(timer);
      clearTimeout(hiding);
      connection.close();
    };
  }, [query, gatherMs]);
  return { ...state, again: () => stream.current?.again() };
}
