import { useCallback, useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from "react";
import type { AuditLogEntry } from "../api";
import { narrow, useMedia } from "../media";
import type { Timeline } from "../timeline";
import { Rows, stepOf, type RowsHandle } from "../rows";
import { count } from "../ui";
import { EventLine } from "./Row";

const ROW = 36;
const NARROW_ROW = 62;

export function useRowHeight(): number {
  return useMedia(narrow) ? NARROW_ROW : ROW;
}

interface Props {
  timeline: Timeline;
  selected: string | null;
  /** What is brought into sight when it is another one; what is selected unless given. Of one with its time it is found wherever it is. */
  reveal?: { id: string; timestamp?: number | undefined } | null;
  onOpen: (id: string) => void;
  onTop?: (isAtTop: boolean) => void;
  handle: React.RefObject<RowsHandle | null>;
  label: string;
  /** How an event is drawn, and how tall: as a line unless given. */
  draw?: { row: (event: AuditLogEntry) => ReactNode; height: number; className: string };
  isFitting?: boolean;
}

/** All events of a timeline, by keyboard and mouse. What is selected is told by its id. */
export function EventList({ timeline, selected, reveal = selected === null ? null : { id: selected }, onOpen, onTop, handle, label, draw, isFitting }: Props) {
  useSyncExternalStore(timeline.subscribe, timeline.version);
  const lineHeight = useRowHeight();
  const rowHeight = draw?.height ?? lineHeight;
  const [focused, setFocused] = useState<{ row: number; id?: string | undefined }>({ row: 0 });
  const total = timeline.length;
  // What came in above moves the row that is focused.
  const moved = focused.id === undefined ? undefined : timeline.at(focused.row)?.id === focused.id ? focused.row : timeline.rowOf(focused.id);
  const row = Math.min(moved ?? focused.row, Math.max(0, total - 1));

  const go = useCallback(
    (next: number) => {
      const within = Math.min(Math.max(0, next), timeline.length - 1);
      setFocused({ row: within, id: timeline.at(within)?.id });
      handle.current?.show(within);
    },
    [timeline, handle],
  );
  const revealed = useRef<string>(undefined);
  useEffect(() => {
    if (reveal === null || reveal.id === revealed.current) {
      revealed.current = reveal?.id;
      return;
    }
    const found = timeline.rowOf(reveal.id);
    if (found !== undefined) {
      revealed.current = reveal.id;
      go(found);
    } else if (reveal.timestamp !== undefined && timeline.isCounted) {
      // What is drawn is loaded, and then it is known better where it is, or that it is gone.
      const near = timeline.near(reveal.timestamp);
      if (timeline.at(near)) {
        revealed.current = reveal.id;
      }
      handle.current?.show(near);
    }
  });

  return (
    <Rows
      className="event-list"
      role="listbox"
      tabIndex={0}
      aria-label={label}
      active={row}
      onKeyDown={(pressed) => {
        const step = stepOf(pressed.key, row, total, handle.current?.page() ?? 10);
        if (step !== undefined && !pressed.ctrlKey && !pressed.metaKey && !pressed.altKey) {
          pressed.preventDefault();
          go(step);
        } else if (pressed.key === "Enter" || pressed.key === " ") {
          pressed.preventDefault();
          const event = timeline.at(row);
          if (event) {
            onOpen(event.id);
          }
        }
      }}
      count={total}
      rowHeight={rowHeight}
      handle={handle}
      {...(onTop ? { onTop } : {})}
      isFitting={isFitting ?? false}
      row={(index) => {
          const event = timeline.at(index);
          return (
            <div
              id={`row-${index}`}
              role="option"
              aria-selected={event !== undefined && event.id === selected}
              aria-setsize={total}
              aria-posinset={index + 1}
              className={`${draw?.className ?? "event-row"} ${event?.severity ?? "unknown"} ${index === row ? "focused" : ""}`}
              onClick={() => {
                if (event) {
                  setFocused({ row: index, id: event.id });
                  onOpen(event.id);
                }
              }}
            >
              {event ? draw?.row(event) ?? <EventLine event={event} /> : <span className="row-loading"><span className="unseen">Event {count(index + 1)} is loading</span></span>}
            </div>
          );
      }}
    />
  );
}
