import { useMemo } from "react";
import { asError } from "sealog/live";
import { event as load, get, useLoaded, type AuditLogEntry } from "../api";
import { Diff } from "../events/Diff";
import { EventList } from "../events/List";
import { useTimeline } from "../events/useTimeline";
import { quoted } from "../query";
import { Link, to, useParams } from "../router";
import { clock, date, exact } from "../time";
import { Card, Copy, Empty, Failed, Loading, Mono, Page, plural, SeverityMark } from "../ui";

/** As tall as two lines are in the style sheet. */
const HISTORY = { row: inHistory, height: 57, className: "history-row" };

function inHistory({ severity, action, actorName, actorId, timestamp, changes }: AuditLogEntry) {
  return (
    <>
      <SeverityMark severity={severity} withName={false} />
      <span className="action">{action}</span>
      <span className="actor">{actorName ?? actorId ?? "nobody"}</span>
      <time dateTime={exact(timestamp)}>{date(timestamp)} {clock(timestamp)}</time>
      {changes && changes.length > 0 && <b className="changes">±{changes.length}</b>}
    </>
  );
}

/** A thing: who did what to it, and what it was at any time. */
export default function Resource({ type, id }: { type: string; id: string }) {
  const [params, change] = useParams();
  const filter = useMemo(() => ({ resource: { type, id } }), [type, id]);
  const { timeline, handle, isReady, failed, retry } = useTimeline(filter, true);
  const chosen = params.get("version");
  const row = chosen === null ? undefined : timeline.rowOf(chosen);
  const listed = chosen === null
    ? timeline.newest(Infinity).find((event) => event.before !== undefined || event.after !== undefined)
    : row === undefined ? undefined : timeline.at(row);
  // One that is older than those that are there is looked up by itself.
  const older = useLoaded(isReady && chosen !== null && !listed ? chosen : null, async (signal) => {
    const event = await load(chosen!, signal).catch((cause: unknown) => {
      if (asError(cause).code === "not_found") {
        return null;
      }
      throw cause;
    });
    return event?.resourceType === type && event.resourceId === id ? event : null;
  });
  const shown = listed ?? older.data ?? undefined;
  return (
    <Page
      title={id}
      kicker={<><Link href={to.events(`resource-type:${quoted(type)}`)}>{type}</Link> <Copy text={`${type}/${id}`} label="Copy resource" /></>}
      aside={<Link className="button plain" href={to.events(`resource:${quoted(`${type}:${id}`)}`)}><span>Show in events</span></Link>}
    >
      {failed && <Failed error={failed} retry={retry} />}
      {!isReady ? (
        !failed && <Loading lines={8} />
      ) : timeline.length === 0 ? (
        <Empty title="Nothing is known of it" icon="search">
          <p>No event names <Mono>{type}/{id}</Mono>, or none that you may see.</p>
        </Empty>
      ) : (
        <div className="history">
          <Card title="History" aside={timeline.isCounted ? <span className="dim">{plural(timeline.length, "event")}</span> : <i className="wait" />}>
            <div className="history-list">
              <EventList
                timeline={timeline}
                selected={shown?.id ?? null}
                reveal={chosen === null ? null : { id: chosen, timestamp: shown?.timestamp }}
                onOpen={(version) => change({ version }, { replace: true })}
                handle={handle}
                label="History, the newest first"
                draw={HISTORY}
                isFitting
              />
            </div>
          </Card>
          {shown ? <Version key={shown.id} type={type} id={id} event={shown} />
            : older.error ? <Card title="Document"><Failed error={older.error} retry={older.reload} /></Card>
            : older.isLoading ? <Card title="Document"><Loading lines={5} /></Card>
            : chosen !== null ? <Card title="Document"><Empty title="There is no such version" icon="search"><p>The event that the address names is not one of this resource.</p></Empty></Card>
            : <Card title="Document"><Empty title="No version is known"><p>{timeline.newest(Infinity).length < timeline.length ? "The newest of its events carry no states. Choose an older one." : "Its events carry no states."}</p></Empty></Card>}
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
