import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { narrow, useMedia } from "../media";
import type { Timeline } from "../timeline";
import { Rows, type RowsHandle } from "../rows";
import { count } from "../ui";
import { EventLine } from "./Row";

const ROW = 36;
const NARROW_ROW = 62;

export function useRowHeight(): number {
  return useMedia(narrow) ? NARROW_ROW : ROW;
}

/** All events of a timeline, by keyboard and mouse. What is selected is told by its id. */
export function EventList(props: {
  timeline: Timeline;
  selected: string | null;
  onOpen: (id: string) => void;
  onTop: (isAtTop: boolean) => void;
  handle: React.RefObject<RowsHandle | null>;
  label: string;
}) {
  const { timeline, selected, onOpen, onTop, handle, label } = props;
  useSyncExternalStore(timeline.subscribe, timeline.version);
  const rowHeight = useRowHeight();
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
  useEffect(() => {
    const at = selected === null ? undefined : timeline.rowOf(selected);
    if (at !== undefined) {
      go(at);
    }
  }, [selected, timeline, go]);

  return (
    <Rows
      className="event-list"
      role="listbox"
      tabIndex={0}
      aria-label={label}
      active={row}
      onKeyDown={(pressed) => {
        const page = handle.current?.page() ?? 10;
        const steps: Record<string, number> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
        const step = steps[pressed.key];
        if (step !== undefined && !pressed.ctrlKey && !pressed.metaKey && !pressed.altKey) {
          pressed.preventDefault();
          go(step === -Infinity ? 0 : step === Infinity ? total - 1 : row + step);
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
      onTop={onTop}
      row={(index) => {
          const event = timeline.at(index);
          return (
            <div
              id={`row-${index}`}
              role="option"
              aria-selected={event !== undefined && event.id === selected}
              aria-setsize={total}
              aria-posinset={index + 1}
              className={`event-row ${event?.severity ?? "unknown"} ${index === row ? "focused" : ""}`}
              onClick={() => {
                if (event) {
                  setFocused({ row: index, id: event.id });
                  onOpen(event.id);
                }
              }}
            >
              {event ? <EventLine event={event} /> : <span className="row-loading"><span className="unseen">Event {count(index + 1)} is loading</span></span>}
            </div>
          );
      }}
    />
  );
}
