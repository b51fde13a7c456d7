import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { useAuditLogQuery } from "sealog/react";
import { events as load, get, keyOf, live, useKept, useLoaded, type AuditLogEntry, type Findings, type Severity } from "../api";
import { useNow } from "../clock";
import { EventLine } from "../events/Row";
import { useEvents } from "../live";
import { RangePicker } from "../picker";
import { quoted } from "../query";
import { Link, to, useParams } from "../router";
import { LiveMark } from "../shell";
import { ago, exact, rangeKey, rangeOf, rangeParams, timesOf, type Range } from "../time";
import { Bar, Card, count, Empty, Failed, Loading, Mono, Page, plural, SEVERITIES, SeverityMark } from "../ui";

const Chart = lazy(() => import("../chart"));
const FEED = 40;
/** So many further pages are looked through for what is not a read of the log. */
const MORE_PAGES = 5;
const PAGE_EVENTS = 200;
/** How long the feed gathers, in milliseconds: all of it is new at each turn when much happens. */
const GATHER_MS = 250;
/** So many that come in at once are shown to be new. Of more it says nothing, and colours that fade are drawn anew in each frame. */
const MAX_FRESH = 8;
const FINDINGS_EVERY_MS = 10_000;
/** The log's own reads are events too; what happens is not that somebody looked. */
const OWN_READS = "sealog.read";

export default function Overview() {
  const [params, change] = useParams();
  const range = rangeOf(params, useNow(60_000), "24h");
  const within = timesOf(range);
  const stats = useAuditLogQuery(live().getStats, { ...within, top: 8 });
  // The range moves on with the clock. What was there stays until the next is.
  const data = useKept(rangeKey(range), stats.data);
  const same = rangeParams(range);
  return (
    <Page title="Overview" aside={<RangePicker range={range} />}>
      {stats.error && stats.status === "failed" && <Failed error={stats.error} retry={stats.retry} />}
      {(data || stats.status !== "failed") && (
        <>
          <dl className="totals" aria-label={range.label}>
            <Total name="All events" value={data?.totalCount} href={to.events("", same)} />
            {SEVERITIES.map((severity) => (
              <Total key={severity} name={severity} severity={severity} value={data?.bySeverity[severity]} href={to.events(`severity:${severity}`, same)} />
            ))}
          </dl>
          <Card title="Events over time" aside={<Legend />} className="chart-card">
            {data ? (
              data.totalCount === 0 ? (
                <Empty title="Nothing happened in this time" icon="overview"><p>Look at a longer one, or wait: this page is live.</p></Empty>
              ) : (
                <Suspense fallback={<div className="chart-wait"><Loading lines={1} /></div>}>
                  <Chart
                    label={`Events over time, ${range.label}`}
                    series={data.series}
                    bucketMs={data.bucketMs}
                    from={range.from}
                    to={range.to}
                    onRange={(from, to) => change({ range: null, from: String(from), to: String(to) })}
                  />
                </Suspense>
              )
            ) : (
              <div className="chart-wait"><Loading lines={1} /></div>
            )}
          </Card>
        </>
      )}
      <div className="columns">
        {(data || stats.status !== "failed") && (
          <div className="column">
            <Top title="Top actions" rows={data?.topActions.map(({ action, count }) => ({ value: action, count }))} href={(value) => to.events(`action:${quoted(value)}`, same)} />
            <Top title="Top actors" rows={data?.topActors.map(({ actorId, count }) => ({ value: actorId, count }))} href={(value) => to.actor(value, same)} />
          </div>
        )}
        <OpenFindings range={range} />
        <Feed />
      </div>
    </Page>
  );
}

function Total({ name, value, severity, href }: { name: string; value: number | undefined; severity?: Severity; href: string }) {
  return (
    <div className={`total ${severity ?? "all"}`}>
      <dt>{severity ? <SeverityMark severity={severity} /> : name}</dt>
      <dd>
        <Link href={href} aria-label={value === undefined ? name : `${count(value)} ${severity ? `of severity ${name}` : "events"}`}>
          {value === undefined ? <i className="wait" /> : count(value)}
        </Link>
      </dd>
    </div>
  );
}

function Legend() {
  return (
    <p className="legend">
      {SEVERITIES.map((severity) => (
        <SeverityMark key={severity} severity={severity} />
      ))}
    </p>
  );
}

function Top({ title, rows, href }: { title: string; rows: { value: string; count: number }[] | undefined; href: (value: string) => string }) {
  const most = Math.max(1, ...(rows ?? []).map(({ count }) => count));
  return (
    <Card title={title}>
      {!rows ? <Loading lines={5} /> : rows.length === 0 ? <Empty title="Nobody did anything" /> : (
        <ol className="top-list">
          {rows.map((row) => (
            <li key={row.value}>
              <Bar share={row.count / most} />
              <Link href={href(row.value)} className="mono">{row.value}</Link>
              <span className="number">{count(row.count)}</span>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}

function OpenFindings({ range }: { range: Range }) {
  const now = useNow();
  const query = { from: range.from ?? 0, ...(range.to === undefined ? {} : { to: range.to }) };
  // Asked again while the range moves on, and shown until there is an answer for another range.
  const found = useLoaded(rangeKey(range), (signal) => get<Findings>("/v1/anomalies", query, signal), FINDINGS_EVERY_MS);
  const shown = found.data;
  const same = rangeParams(range);
  return (
    <Card title="Open findings" className="findings-card" aside={shown && shown.total > 0 ? <Link href={to.findings(same)} className="more">All {count(shown.total)}</Link> : undefined}>
      {found.error && <Failed error={found.error} retry={found.reload} />}
      {!shown ? (
        !found.error && <Loading lines={4} />
      ) : shown.findings.length === 0 ? (
        <Empty title="Nothing unusual" icon="integrity"><p>No saved rule has found anything in this time.</p></Empty>
      ) : (
        <ol className="finding-list">
          {shown.findings.slice(0, 7).map((finding) => (
            <li key={keyOf(finding)}>
              <Link href={to.findings({ ...same, finding: keyOf(finding) })}>
                <b>{finding.rule.replace(/-/g, " ")}</b>
                <Mono>{finding.group ?? "everybody"}</Mono>
                <span className="dim">{plural(finding.count, "event")} · <time dateTime={exact(finding.last.timestamp)}>{ago(finding.last.timestamp, now)}</time></span>
              </Link>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}

/**
 * A number for each of those that are shown, which it keeps for as long as it is; who comes takes that of one that has gone. So
 * what is drawn for the one is drawn over for the other: to make all of it anew some times a second is what a browser feels.
 */
function useSlots(events: readonly AuditLogEntry[]): ReadonlyMap<number, number> {
  const before = useRef<ReadonlyMap<number, number>>(new Map());
  return useMemo(() => {
    const slots = new Map<number, number>();
    const free = new Set(Array.from(events, (_, slot) => slot));
    for (const { seq } of events) {
      const slot = before.current.get(seq);
      if (slot !== undefined && free.delete(slot)) {
        slots.set(seq, slot);
      }
    }
    const left = free.values();
    events.forEach(({ seq }) => slots.has(seq) || slots.set(seq, left.next().value!));
    before.current = slots;
    return slots;
  }, [events]);
}

const isOwnRead = ({ action }: AuditLogEntry) => action === OWN_READS;

function Feed() {
  const [events, setEvents] = useState<AuditLogEntry[]>();
  const fresh = useMemo(() => new Set<number>(), []);
  const slots = useSlots(events ?? []);
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);
  const merge = (told: AuditLogEntry[], before: AuditLogEntry[]) => {
    const known = new Set(before.map(({ seq }) => seq));
    const added = told.filter((event) => !isOwnRead(event) && !known.has(event.seq));
    return { added, all: [...added, ...before].sort((a, b) => b.timestamp - a.timestamp || b.seq - a.seq).slice(0, FEED) };
  };
  // A filter says what is wanted and not what is not. So where the newest are reads of the log, those behind them follow.
  const fill = async (found: number, cursor: string | null) => {
    abort.current?.abort();
    const { signal } = (abort.current = new AbortController());
    for (let page = 0; page < MORE_PAGES && found < FEED && cursor !== null; page++) {
      const more = await load({ limit: PAGE_EVENTS, cursor }, signal);
      found += more.items.filter((event) => !isOwnRead(event)).length;
      cursor = more.hasMore ? more.cursor : null;
      setEvents((before = []) => merge(more.items, before).all);
    }
  };
  const { line, error, again } = useEvents(
    { limit: FEED },
    {
      onSnapshot: ({ items, hasMore, cursor }) => {
        const shown = items.filter((event) => !isOwnRead(event));
        setEvents(shown);
        // The stream tells on its own line when the server is away.
        void fill(shown.length, hasMore ? cursor : null).catch(() => undefined);
      },
      onEvents: (told) =>
        setEvents((before = []) => {
          const { added, all } = merge(told, before);
          fresh.clear();
          if (added.length <= MAX_FRESH) {
            added.forEach(({ seq }) => fresh.add(seq));
          }
          return all;
        }),
    },
    GATHER_MS,
  );
  return (
    <Card title="Live feed" className="feed-card" aside={<LiveMark line={line} />}>
      {events === undefined ? (
        line === "failed" && error ? <Failed error={error} retry={again} /> : <Loading lines={8} />
      ) : events.length === 0 ? (
        <Empty title="Nothing has happened yet"><p>As soon as an event is logged, it is here.</p></Empty>
      ) : (
        <ol className="feed" aria-label="Newest events">
          {events.map((event) => (
            <li key={slots.get(event.seq)} className={fresh.has(event.seq) ? "fresh" : ""}>
              <Link href={to.event(event.id)} className={`event-row ${event.severity}`}>
                <EventLine event={event} withDate={false} />
              </Link>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}
