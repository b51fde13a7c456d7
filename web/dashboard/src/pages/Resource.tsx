import { useState } from "react";
import { useAuditLogQuery } from "sealog/react";
import { get, live, useLoaded, type AuditLogEntry } from "../api";
import { Diff } from "../events/Diff";
import { Link, quoted, to, useParams } from "../router";
import { clock, date, exact } from "../time";
import { Button, Card, Copy, count, Empty, Failed, Loading, Mono, Page, SeverityMark } from "../ui";

const VERSIONS = 200;

/** A thing: who did what to it, and what it was at any time. */
export default function Resource({ type, id }: { type: string; id: string }) {
  const [params, change] = useParams();
  const [limit, setLimit] = useState(VERSIONS);
  const { data: events, status, error, retry } = useAuditLogQuery(live.queryByResource, { resourceType: type, resourceId: id, limit });
  const versions = (events ?? []).filter((event) => event.before !== undefined || event.after !== undefined);
  const chosen = params.get("version");
  const shown = events?.find((event) => event.id === chosen) ?? versions[0];
  return (
    <Page
      title={id}
      kicker={<><Link href={to.events(`resource-type:${quoted(type)}`)}>{type}</Link> <Copy text={`${type}/${id}`} label="Copy resource" /></>}
      aside={<Link className="button plain" href={to.events(`resource:${quoted(`${type}:${id}`)}`)}><span>Show in events</span></Link>}
    >
      {!events ? (
        status === "failed" && error ? <Failed error={error} retry={retry} /> : <Loading lines={8} />
      ) : events.length === 0 ? (
        <Empty title="Nothing is known of it" icon="search">
          <p>No event names <Mono>{type}/{id}</Mono>, or none that you may see.</p>
        </Empty>
      ) : (
        <div className="history">
          <Card title="History" aside={<span className="dim">{count(events.length)}{events.length === limit ? "+" : ""} events, {count(versions.length)} versions</span>}>
            <ol className="history-list">
              {events.map((event) => (
                <li key={event.id}>
                  <button type="button" aria-pressed={event === shown} onClick={() => change({ version: event.id }, { replace: true })}>
                    <SeverityMark severity={event.severity} withName={false} />
                    <span className="action">{event.action}</span>
                    <span className="actor">{event.actorName ?? event.actorId ?? "nobody"}</span>
                    <time dateTime={exact(event.timestamp)}>{date(event.timestamp)} {clock(event.timestamp)}</time>
                    {event.changes && event.changes.length > 0 && <b className="changes">±{event.changes.length}</b>}
                  </button>
                </li>
              ))}
            </ol>
            {events.length === limit && <Button onClick={() => setLimit(1000)} disabled={limit >= 1000}>Show more</Button>}
          </Card>
          {shown ? <Version key={shown.id} type={type} id={id} event={shown} /> : <Card title="Document"><Empty title="No version is known"><p>Its events carry no states.</p></Empty></Card>}
        </div>
      )}
    </Page>
  );
}

function Version({ type, id, event }: { type: string; id: string; event: AuditLogEntry }) {
  const path = `/v1/resources/${encodeURIComponent(type)}/${encodeURIComponent(id)}/state`;
  const state = useLoaded(event.id, (signal) => get<{ state?: unknown }>(path, { at: event.timestamp }, signal));
  const document = event.after === undefined ? state.data?.state : event.after;
  const text = document === undefined ? "" : JSON.stringify(document, null, 2);
  return (
    <div className="stack">
      {event.changes && event.changes.length > 0 && <Card title="What changed"><Diff changes={event.changes} /></Card>}
      <Card title={`As of ${date(event.timestamp)} ${clock(event.timestamp)}`} aside={text && <Copy text={text} label="Copy document" />}>
        {document === undefined && state.isLoading ? (
          <Loading lines={5} />
        ) : state.error && document === undefined ? (
          <Failed error={state.error} retry={state.reload} />
        ) : document === undefined ? (
          <Empty title="There was no document" icon="trash"><p>It had been deleted, or was not known yet.</p></Empty>
        ) : (
          <pre className="mono document" tabIndex={0} aria-label="Document">{text}</pre>
        )}
        <p className="actions"><Link href={`/events?event=${encodeURIComponent(event.id)}&q=${encodeURIComponent(`resource:${quoted(`${type}:${id}`)}`)}`}>Open the event</Link></p>
      </Card>
    </div>
  );
}
