import { createAuditLogApi, DiffView, formatTimestamp, getSeverityColor, useAuditLogByResource } from "sealog/react";

// The router is mounted at /audit of this very application, and its session is the cookie that goes along.
const api = createAuditLogApi({ url: "/audit" });

/** Who changed what in a note, as it happens. */
export function History({ noteId }: { noteId: string }) {
  const events = useAuditLogByResource(api.queryByResource, { resourceType: "note", resourceId: noteId, limit: 20 });

  if (!events) return <p>Loading…</p>;
  return (
    <ol aria-label="History">
      {events.map((event) => (
        <li key={event._id} style={{ borderLeftColor: getSeverityColor(event.severity) }}>
          <strong>{event.action}</strong> by {event.actorId}, {formatTimestamp(event.timestamp)}
          <DiffView event={event} />
        </li>
      ))}
    </ol>
  );
}
