import { useCallback, useMemo, useState } from "react";
import { get, useLoaded, type QueryFilters } from "../api";
import { Drawer } from "../events/Drawer";
import { FilterBar } from "../events/FilterBar";
import { EventList } from "../events/List";
import { useTimeline } from "../events/useTimeline";
import { RangePicker } from "../picker";
import { useParams } from "../router";
import { earlier, later, rangeOf, timesOf } from "../time";
import { Button, count, Empty, Failed, Loading, Page } from "../ui";
import { LiveMark } from "../shell";

export default function Events() {
  const [params, change] = useParams();
  const q = params.get("q") ?? "";
  // It stays what it was when it was chosen: a list that begins anew each minute could not be read.
  const [name, first, last] = ["range", "from", "to"].map((name) => params.get(name));
  const range = useMemo(() => rangeOf(params, Date.now(), "all"), [name, first, last]);
  const parsed = useLoaded(q, (signal) => (q === "" ? Promise.resolve<QueryFilters>({}) : get<QueryFilters>("/v1/filter", { q }, signal)));
  const filter = parsed.data;
  // What the bar says of the time holds beside the range.
  const from = later(range.from, filter?.fromTimestamp);
  const to = earlier(range.to, filter?.toTimestamp);
  const isLive = params.get("live") !== "off" && to === undefined;
  const asked = useMemo(() => {
    if (!filter) {
      return null;
    }
    return { ...filter, ...timesOf({ from, to }) };
  }, [filter, from, to]);
  const key = asked && JSON.stringify(asked);
  const id = params.get("event");
  return (
    <Page
      title="Events"
      aside={
        <>
          <RangePicker range={range} withAll />
          <Button icon={isLive ? "pause" : "play"} className={isLive ? "on" : ""} disabled={to !== undefined} onClick={() => change({ live: isLive ? "off" : null })}>
            {isLive ? "Live" : "Paused"}
          </Button>
        </>
      }
    >
      <FilterBar q={q} error={parsed.error?.status === 400 ? parsed.error : undefined} onChange={(next) => change({ q: next, event: null })} />
      {parsed.error && parsed.error.status !== 400 ? (
        <Failed error={parsed.error} retry={parsed.reload} />
      ) : key === null ? (
        parsed.error ? null : <Loading lines={12} />
      ) : (
        <Listed key={key} filter={asked!} isLive={isLive} id={id} change={change} hasFilter={q !== "" || range.name !== "all"} />
      )}
    </Page>
  );
}

interface ListedProps {
  filter: QueryFilters;
  isLive: boolean;
  id: string | null;
  change: (values: Record<string, string | null>, options?: { replace?: boolean }) => void;
  hasFilter: boolean;
}

function Listed({ filter, isLive, id, change, hasFilter }: ListedProps) {
  const [waiting, setWaiting] = useState(0);
  const [isAtTop, setAtTop] = useState(true);
  const { timeline, handle, isReady, line, failed, retry } = useTimeline(filter, isLive, (added) =>
    setWaiting((waiting) => (added > 0 && handle.current?.isAtTop() === false ? waiting + added : 0)),
  );

  const onTop = useCallback((isAtTop: boolean) => {
    setAtTop(isAtTop);
    if (isAtTop) {
      setWaiting(0);
    }
  }, []);
  const open = useCallback((event: string) => change({ event }), [change]);
  const row = id === null ? undefined : timeline.rowOf(id);
  const total = timeline.length;
  return (
    <div className={`split ${id === null ? "" : "open"}`}>
      <section className="list-box" aria-label="Events found">
        <div className="list-head">
          <span role="status" aria-live="off">{isReady && timeline.isCounted ? `${count(total)} ${total === 1 ? "event" : "events"}` : <i className="wait" />}</span>
          <LiveMark line={isLive ? line : "paused"} />
        </div>
        {waiting > 0 && !isAtTop && (
          <button type="button" className="news" onClick={() => handle.current?.show(0)}>
            {count(waiting)} new
          </button>
        )}
        {failed && <Failed error={failed} retry={retry} />}
        {!isReady && !failed && <Loading lines={12} />}
        {isReady && total === 0 && (
          <Empty title={hasFilter ? "Nothing matches" : "Nothing has happened yet"} icon="search">
            {hasFilter ? (
              <>
                <p>No event meets every condition. Take one away, or look at a longer time.</p>
                <Button onClick={() => change({ q: null, range: "all", from: null, to: null })}>Show all events</Button>
              </>
            ) : (
              <p>As soon as an event is logged, it is here.</p>
            )}
          </Empty>
        )}
        {isReady && total > 0 && <EventList timeline={timeline} selected={id} onOpen={open} onTop={onTop} handle={handle} label="Events, the newest first" />}
      </section>
      {id !== null && (
        <Drawer
          id={id}
          known={row === undefined ? undefined : timeline.at(row)}
          onClose={() => change({ event: null })}
          {...(row === undefined
            ? {}
            : {
                onStep: (step: 1 | -1) => {
                  const next = timeline.at(row + step);
                  if (next) {
                    change({ event: next.id }, { replace: true });
                  }
                },
              })}
        />
      )}
    </div>
  );
}
