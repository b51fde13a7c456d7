import { lazy, Suspense, useMemo, useState, type ReactNode } from "react";
import { useAuditLogQuery } from "sealog/react";
import { get, live, useLoaded, type AuditLogEntry, type Findings, type Severity } from "../api";
import { useNow } from "../clock";
import { EventLine } from "../events/Row";
import { useEvents } from "../live";
import { RangePicker } from "../picker";
import { Link, quoted, to, useParams } from "../router";
import { LiveMark } from "../shell";
import { ago, exact, rangeOf, type Range } from "../time";
import { Bar, Card, count, Empty, Failed, Loading, Mono, Page, plural, SEVERITIES, SeverityMark } from "../ui";

const Chart = lazy(() => import("../chart"));
const FEED = 40;
/** The log's own reads are events too; what happens is not that somebody looked. */
const OWN_READS = "sealog.read";

export default function Overview() {
  const [params, change] = useParams();
  const range = rangeOf(params, useNow(60_000), "24h");
  const within = { ...(range.from === undefined ? {} : { fromTimestamp: range.from }), ...(range.to === undefined ? {} : { toTimestamp: range.to }) };
  const stats = useAuditLogQuery(live.getStats, { ...within, top: 8 });
  const data = stats.data;
  const address = rangeAddress(range, params);
  return (
    <Page title="Overview" aside={<RangePicker range={range} />}>
      {stats.status === "failed" && stats.error && <Failed error={stats.error} retry={stats.retry} />}
      <dl className="totals" aria-label={range.label}>
        <Total name="All events" value={data?.totalCount} href={`/events${address("")}`} />
        {SEVERITIES.map((severity) => (
          <Total key={severity} name={severity} severity={severity} value={data?.bySeverity[severity]} href={`/events${address(`severity:${severity}`)}`} />
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
      <div className="columns">
        <div className="column">
          <Top title="Top actions" rows={data?.topActions.map(({ action, count }) => ({ value: action, count }))} href={(value) => `/events${address(`action:${quoted(value)}`)}`} />
          <Top title="Top actors" rows={data?.topActors.map(({ actorId, count }) => ({ value: actorId, count }))} href={to.actor} />
        </div>
        <OpenFindings range={range} />
        <Feed />
      </div>
    </Page>
  );
}

/** The address of the events that meet `q` in the range that is shown here. */
function rangeAddress(range: Range, params: URLSearchParams) {
  return (q: string) => {
    const next = new URLSearchParams();
    if (q !== "") {
      next.set("q", q);
    }
    if (range.name === "custom") {
      for (const name of ["from", "to"]) {
        if (params.has(name)) {
          next.set(name, params.get(name)!);
        }
      }
    } else {
      next.set("range", range.name);
    }
    return `?${next.toString()}`;
  };
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
  // Findings are events of the log, so one knows when to ask again.
  const found = useLoaded(`${JSON.stringify(query)} ${Math.floor(now / 10_000)}`, (signal) => get<Findings>("/v1/anomalies", query, signal));
  const [shown, setShown] = useState<Findings>();
  if (found.data && found.data !== shown) {
    setShown(found.data);
  }
  let body: ReactNode = <Loading lines={4} />;
  if (shown) {
    body = shown.findings.length === 0 ? (
      <Empty title="Nothing unusual" icon="integrity"><p>No saved rule has found anything in this time.</p></Empty>
    ) : (
      <ol className="finding-list">
        {shown.findings.slice(0, 7).map((finding) => (
          <li key={`${finding.rule} ${finding.group ?? ""} ${finding.first.seq}`}>
            <Link href={`/findings?finding=${encodeURIComponent(`${finding.rule}|${finding.group ?? ""}|${finding.first.seq}`)}`}>
              <b>{finding.rule.replace(/-/g, " ")}</b>
              <Mono>{finding.group ?? "everybody"}</Mono>
              <span className="dim">{plural(finding.count, "event")} · <time dateTime={exact(finding.last.timestamp)}>{ago(finding.last.timestamp, now)}</time></span>
            </Link>
          </li>
        ))}
      </ol>
    );
  } else if (found.error) {
    body = <Failed error={found.error} retry={found.reload} />;
  }
  return (
    <Card title="Open findings" className="findings-card" aside={shown && shown.total > 0 ? <Link href="/findings" className="more">All {count(shown.total)}</Link> : undefined}>
      {body}
    </Card>
  );
}

function Feed() {
  const [events, setEvents] = useState<AuditLogEntry[]>();
  const fresh = useMemo(() => new Set<number>(), []);
  const take = (told: AuditLogEntry[], before: AuditLogEntry[]) => {
    const known = new Set(before.map(({ seq }) => seq));
    const added = told.filter(({ seq, action }) => action !== OWN_READS && !known.has(seq));
    fresh.clear();
    added.forEach(({ seq }) => fresh.add(seq));
    return [...added.reverse(), ...before].sort((a, b) => b.timestamp - a.timestamp || b.seq - a.seq).slice(0, FEED);
  };
  const { line, error, again } = useEvents({ limit: FEED }, {
    onSnapshot: ({ items }) => setEvents(items.filter(({ action }) => action !== OWN_READS)),
    onEvents: (told) => setEvents((before = []) => take(told, before)),
  });
  return (
    <Card title="Live feed" className="feed-card" aside={<LiveMark line={line} />}>
      {events === undefined ? (
        line === "failed" && error ? <Failed error={error} retry={again} /> : <Loading lines={8} />
      ) : events.length === 0 ? (
        <Empty title="Nothing has happened yet"><p>As soon as an event is logged, it is here.</p></Empty>
      ) : (
        <ol className="feed" aria-label="Newest events">
          {events.map((event) => (
            <li key={event.seq} className={fresh.has(event.seq) ? "fresh" : ""}>
              <Link href={`/events?event=${encodeURIComponent(event.id)}`} className={`event-row ${event.severity}`}>
                <EventLine event={event} withDate={false} />
              </Link>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}
