import { useAuditLogSearch } from "sealog/react";
import { event as load, get, live, useLoaded, type AuditLogEntry } from "../api";
import { Diff } from "../events/Diff";
import { quoted } from "../query";
import { Link, to, useParams } from "../router";
import { clock, date, exact } from "../time";
import { Button, Card, Copy, count, Empty, Failed, Loading, Mono, Page, SeverityMark } from "../ui";

/** So many events are shown at first, and more of them at a time. */
const PORTION = 200;

/** A thing: who did what to it, and what it was at any time. */
export default function Resource({ type, id }: { type: string; id: string }) {
  const [params, change] = useParams();
  const { events, hasMore, isLoadingMore, loadMore, status, error, retry } = useAuditLogSearch(live().search, {
    filters: { resource: { type, id } },
    pageSize: PORTION,
  });
  const versions = (events ?? []).filter((event) => event.before !== undefined || event.after !== undefined);
  const chosen = params.get("version");
  const listed = chosen === null ? versions[0] : events?.find((event) => event.id === chosen);
  // One that is older than those that are listed is looked up by itself.
  const older = useLoaded(events && chosen !== null && !listed ? chosen : null, async (signal) => {
    const event = await load(chosen!, signal);
    return event.resourceType === type && event.resourceId === id ? event : null;
  });
  const shown = listed ?? older.data ?? undefined;
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
          <Card title="History" aside={<span className="dim">{count(events.length)}{hasMore ? "+" : ""} events, {count(versions.length)}{hasMore ? "+" : ""} versions</span>}>
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
            {hasMore && <Button onClick={loadMore} disabled={isLoadingMore}>{isLoadingMore ? "Loading…" : "Show more"}</Button>}
          </Card>
          {shown ? <Version key={shown.id} type={type} id={id} event={shown} />
            : older.error ? <Card title="Document"><Failed error={older.error} retry={older.reload} /></Card>
            : older.isLoading ? <Card title="Document"><Loading lines={5} /></Card>
            : chosen !== null ? <Card title="Document"><Empty title="There is no such version" icon="search"><p>The event that the address names is not one of this resource.</p></Empty></Card>
            : <Card title="Document"><Empty title="No version is known"><p>Its events carry no states.</p></Empty></Card>}
        </div>
      )}
    </Page>
  );
}

function Version({ type, id, event }: { type: string; id: string; event: AuditLogEntry }) {
  const path = `/v1/resources/${encodeURIComponent(type)}/${encodeURIComponent(id)}/state`;
  // A change that holds its own outcome tells it; of others the log knows.
  const state = useLoaded(event.after === undefined ? event.id : null, (signal) => get<{ state?: unknown }>(path, { at: event.timestamp }, signal));
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
        <p className="actions"><Link href={to.event(event.id, `resource:${quoted(`${type}:${id}`)}`)}>Open the event</Link></p>
      </Card>
    </div>
  );
}
