import { memo } from "react";
import type { AuditLogEntry } from "../api";
import { clock, date, exact } from "../time";
import { SeverityMark } from "../ui";

/** What an event did, in one line. */
export function what({ resourceType, resourceId }: AuditLogEntry): string {
  return [resourceType, resourceId].filter(Boolean).join("/");
}

export const EventLine = memo(function EventLine({ event, withDate = true }: { event: AuditLogEntry; withDate?: boolean }) {
  const { action, actorId, actorName, actorType, severity, outcome, timestamp, changes } = event;
  return (
    <>
      <time dateTime={exact(timestamp)} className="when">
        {withDate && <span className="day">{date(timestamp)} </span>}
        {clock(timestamp)}
      </time>
      <SeverityMark severity={severity} withName={false} />
      <span className="action">{action}</span>
      <span className="actor">
        {actorType !== undefined && actorType !== "user" && <em>{actorType.replace("_", " ")}</em>}
        {actorName ?? actorId ?? <span className="dim">nobody</span>}
      </span>
      <span className="resource mono">{what(event)}</span>
      <span className="marks">
        {outcome !== undefined && outcome !== "success" && <b className={`outcome ${outcome}`}>{outcome}</b>}
        {changes !== undefined && changes.length > 0 && <b className="changes">±{changes.length}</b>}
      </span>
    </>
  );
});
