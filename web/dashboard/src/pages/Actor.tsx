import { lazy, Suspense, useMemo } from "react";
import { useAuditLogQuery } from "sealog/react";
import { live } from "../api";
import { EventList } from "../events/List";
import { useTimeline } from "../events/useTimeline";
import { RangePicker } from "../picker";
import { quoted } from "../query";
import { Link, navigate, to, useParams } from "../router";
import { rangeOf, rangeParams, timesOf } from "../time";
import { Bar, Card, Copy, count, Empty, Failed, Loading, Page, SEVERITIES, SeverityMark } from "../ui";

/** Of so many events it is told to what they were done. */
const LATELY = 200;
const Chart = lazy(() => import("../chart"));

/** Somebody: what they do, how often, and to what. */
export default function Actor({ id }: { id: string }) {
  const [params, change] = useParams();
  const [name, first, last] = ["range", "from", "to"].map((name) => params.get(name));
  const range = useMemo(() => rangeOf(params, Date.now(), "30d"), [name, first, last]);
  const within = timesOf(range);
  const stats = useAuditLogQuery(live().getStats, { ...within, actorIds: [id], top: 10 });
  const filter = useMemo(() => ({ ...timesOf(range), actorIds: [id] }), [range, id]);
  const newest = useTimeline(filter, range.to === undefined);
  const events = newest.isReady ? newest.timeline.newest(LATELY) : undefined;
  const same = rangeParams(range);
  const known = events?.find(({ actorName }) => actorName);
  const resources = new Map<string, { type: string; id: string; count: number }>();
  for (const { resourceType, resourceId } of events ?? []) {
    if (resourceType !== undefined && resourceId !== undefined) {
      const key = `${resourceType}/${resourceId}`;
      resources.set(key, { type: resourceType, id: resourceId, count: (resources.get(key)?.count ?? 0) + 1 });
    }
  }
  const data = stats.data;
  const failed = stats.status === "failed" ? stats.error : newest.failed;
  return (
    <Page
      title={known?.actorName ?? id}
      kicker={<>{events?.[0]?.actorType ?? "actor"} <code className="mono">{id}</code> <Copy text={id} label="Copy actor" /></>}
      aside={<><RangePicker range={range} withAll /><Link className="button plain" href={to.events(`actor:${quoted(id)}`, same)}><span>Show in events</span></Link></>}
    >
      {failed && <Failed error={failed} retry={() => (stats.status === "failed" && stats.retry(), newest.failed && newest.retry())} />}
      {failed && !data && !events ? null : data?.totalCount === 0 ? (
        <Empty title="Nothing in this time" icon="search"><p>They did nothing {range.name === "all" ? "that is known here" : "in this time; look at a longer one"}.</p></Empty>
      ) : (
        <>
          <Card title={data ? `${count(data.totalCount)} events` : "Events"} aside={<p className="legend">{SEVERITIES.map((severity) => <SeverityMark key={severity} severity={severity} />)}</p>} className="chart-card">
            {data ? (
              <Suspense fallback={<div className="chart-wait short"><Loading lines={1} /></div>}>
                <Chart label={`Events of ${id}`} series={data.series} bucketMs={data.bucketMs} from={range.from} to={range.to} height={150}
                  onRange={(from, to) => change({ range: null, from: String(from), to: String(to) })} />
              </Suspense>
            ) : (
              <div className="chart-wait short"><Loading lines={1} /></div>
            )}
          </Card>
          <div className="columns two">
            <div className="column">
              <Card title="What they do">
                {!data ? <Loading lines={5} /> : (
                  <ol className="top-list">
                    {data.topActions.map(({ action, count: times }) => (
                      <li key={action}>
                        <Bar share={times / (data.topActions[0]?.count ?? 1)} />
                        <Link className="mono" href={to.events(`actor:${quoted(id)} action:${quoted(action)}`, same)}>{action}</Link>
                        <span className="number">{count(times)}</span>
                      </li>
                    ))}
                  </ol>
                )}
              </Card>
              <Card title="To what, lately">
                {!events ? <Loading lines={5} /> : resources.size === 0 ? <Empty title="To nothing that is named" /> : (
                  <ol className="top-list">
                    {[...resources.values()].sort((a, b) => b.count - a.count).slice(0, 8).map(({ type, id, count: times }) => (
                      <li key={`${type}/${id}`}>
                        <Link className="mono" href={to.resource(type, id)}>{type}/{id}</Link>
                        <span className="number">{count(times)}</span>
                      </li>
                    ))}
                  </ol>
                )}
              </Card>
            </div>
            <Card title="Newest events" className="feed-card of-actor">
              {!events ? <Loading lines={8} /> : newest.timeline.length === 0 ? <Empty title="None in this time" /> : (
                <EventList
                  timeline={newest.timeline}
                  selected={null}
                  onOpen={(event) => navigate(to.event(event, `actor:${quoted(id)}`, same))}
                  handle={newest.handle}
                  label="Newest events"
                  isFitting
                />
              )}
            </Card>
          </div>
        </>
      )}
    </Page>
  );
}
