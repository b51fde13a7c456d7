import { useEffect, useRef, useState, type ReactNode } from "react";
import { event as load, useLoaded, type AuditLogEntry } from "../api";
import { quoted } from "../query";
import { isolate, overlaid, useMedia } from "../media";
import { Link, to } from "../router";
import { date, clock, exact } from "../time";
import { Button, Copy, count, Failed, Loading, Mono, SeverityMark, Tabs, Volatile } from "../ui";
import { Diff, value } from "./Diff";
import { Proof } from "./Proof";

type Part = "details" | "changes" | "json" | "proof";

/** An event with all that is known of it, beside the list it is from. */
export function Drawer({ id, known, onClose, onStep }: { id: string; known?: AuditLogEntry | undefined; onClose: () => void; onStep?: (step: 1 | -1) => void }) {
  const loaded = useLoaded(known ? null : id, (signal) => load(id, signal));
  const event = known ?? loaded.data;
  const panel = useRef<HTMLElement>(null);
  const isOver = useMedia(overlaid);
  // First, so that what had the focus can have it again when this ends.
  useEffect(() => (isOver ? isolate(panel.current!) : undefined), [isOver]);
  useEffect(() => {
    const before = document.activeElement;
    panel.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && document.contains(before)) {
        before.focus({ preventScroll: true });
      }
    };
  }, []);
  return (
    <section
      className="drawer"
      ref={panel}
      tabIndex={-1}
      aria-label="Event"
      {...(isOver ? { role: "dialog", "aria-modal": true } : { role: "complementary" })}
      onKeyDown={(pressed) => {
        if (pressed.key === "Escape") {
          pressed.stopPropagation();
          onClose();
        } else if (onStep && !(pressed.target instanceof HTMLInputElement) && !pressed.ctrlKey && !pressed.metaKey && !pressed.altKey && (pressed.key === "j" || pressed.key === "k")) {
          onStep(pressed.key === "j" ? 1 : -1);
        }
      }}
    >
      <header>
        <div>
          {event ? (
            <>
              <h2 className="mono">{event.action}</h2>
              <p className="dim">
                <SeverityMark severity={event.severity} /> <time dateTime={exact(event.timestamp)}>{date(event.timestamp)} {clock(event.timestamp, true)}</time>
              </p>
            </>
          ) : (
            <h2>Event</h2>
          )}
        </div>
        <div className="drawer-tools">
          {onStep && (
            <>
              <Button kind="quiet" icon="down" className="up" aria-label="Newer event" onClick={() => onStep(-1)} />
              <Button kind="quiet" icon="down" aria-label="Older event" onClick={() => onStep(1)} />
            </>
          )}
          <Button kind="quiet" icon="close" aria-label="Close event" onClick={onClose} />
        </div>
      </header>
      <div className="drawer-body">
        {event ? <Whole key={event.id} event={event} /> : loaded.error ? <Failed error={loaded.error} retry={loaded.reload} /> : <Loading lines={8} />}
      </div>
    </section>
  );
}

function Whole({ event }: { event: AuditLogEntry }) {
  const changes = event.changes ?? [];
  const [part, setPart] = useState<Part>("details");
  const parts: { value: Part; label: string }[] = [
    { value: "details", label: "Details" },
    ...(changes.length > 0 ? [{ value: "changes" as const, label: `Changes ${changes.length}` }] : []),
    { value: "json", label: "JSON" },
    { value: "proof", label: "Proof" },
  ];
  const { _id: _, _creationTime: __, diff: ___, ...record } = event;
  const json = JSON.stringify(record, null, 2);
  return (
    <>
      <Tabs label="Parts of the event" tabs={parts} value={part} onChange={setPart} />
      {part === "details" && <Details event={event} />}
      {part === "changes" && <Diff changes={changes} />}
      {part === "json" && (
        <div className="json">
          <Copy text={json} label="Copy JSON" />
          <pre className="mono" tabIndex={0} aria-label="JSON of the event" data-volatile>{json}</pre>
        </div>
      )}
      {part === "proof" && <Proof event={event} />}
    </>
  );
}

function Same({ q, what }: { q: string; what: string }) {
  return <Link className="same" href={to.events(q)}>same {what}</Link>;
}

function Details({ event }: { event: AuditLogEntry }) {
  const { actorId, resourceType, resourceId, sessionId, requestId, metadata, changes } = event;
  const row = (name: string, shown: ReactNode, copied?: string, same?: ReactNode) =>
    shown !== undefined && (
      <div>
        <dt>{name}</dt>
        <dd>
          <span className="value">{shown}{copied !== undefined && <Copy text={copied} label={`Copy ${name.toLowerCase()}`} />}</span>
          {same}
        </dd>
      </div>
    );
  const mono = (text: string | undefined) => (text === undefined ? undefined : <Mono>{text}</Mono>);
  return (
    <>
      <dl className="fields">
        {row("Action", mono(event.action), event.action, <Same q={`action:${quoted(event.action)}`} what="action" />)}
        {row("Outcome", event.outcome && <b className={`outcome ${event.outcome}`}>{event.outcome}</b>)}
        {actorId !== undefined &&
          row("Actor", <Link href={to.actor(actorId)}>{event.actorName ? `${event.actorName} ` : ""}<Mono>{actorId}</Mono></Link>, actorId, <Same q={`actor:${quoted(actorId)}`} what="actor" />)}
        {row("Actor type", event.actorType)}
        {event.onBehalfOf !== undefined && row("On behalf of", <Link href={to.actor(event.onBehalfOf)}><Mono>{event.onBehalfOf}</Mono></Link>, event.onBehalfOf)}
        {resourceType !== undefined &&
          row(
            "Resource",
            <Link href={to.resource(resourceType, resourceId)}><Mono>{resourceType}{resourceId !== undefined && `/${resourceId}`}</Mono></Link>,
            resourceId,
            resourceId !== undefined && <Same q={`resource:${quoted(`${resourceType}:${resourceId}`)}`} what="resource" />,
          )}
        {row("Tenant", mono(event.tenant), event.tenant, event.tenant && <Same q={`tenant:${quoted(event.tenant)}`} what="tenant" />)}
        {row("Address", mono(event.ipAddress), event.ipAddress, event.ipAddress && <Same q={`ip:${quoted(event.ipAddress)}`} what="address" />)}
        {row("User agent", event.userAgent)}
        {sessionId !== undefined && row("Session", mono(sessionId), sessionId, <Same q={`session:${quoted(sessionId)}`} what="session" />)}
        {requestId !== undefined && row("Request", mono(requestId), requestId, <Same q={`request:${quoted(requestId)}`} what="request" />)}
        {event.tags && event.tags.length > 0 && row("Tags", event.tags.map((tag) => <Link key={tag} className="tag" href={to.events(`tag:${quoted(tag)}`)}>{tag}</Link>))}
        {row("Retention", event.retentionCategory)}
        {row("Id", <Mono><Volatile>{event.id}</Volatile></Mono>, event.id)}
        {row("Place", <>seq {count(event.seq)}</>)}
        {row("Happened", <Mono>{exact(event.timestamp)}</Mono>, String(event.timestamp))}
        {row("Recorded", <Mono><Volatile>{exact(event.recordedAt)}</Volatile></Mono>, String(event.recordedAt))}
      </dl>
      {metadata && Object.keys(metadata).length > 0 && (
        <>
          <h3>Metadata</h3>
          <dl className="fields">
            {Object.entries(metadata).map(([name, json]) => (
              <div key={name}>
                <dt className="mono">{name}</dt>
                <dd><code className="mono">{typeof json === "string" ? json : value(json)}</code></dd>
              </div>
            ))}
          </dl>
        </>
      )}
      {changes && changes.length > 0 && (
        <>
          <h3>Changes</h3>
          <Diff changes={changes} />
        </>
      )}
    </>
  );
}
