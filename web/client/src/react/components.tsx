import { useState, type ReactNode } from "react";
import { readablePath, readableValue } from "../diff.js";
import type { AnomalyPattern, AuditLogEntry, SearchFilters, Severity, StatsArgs } from "../types.js";
import type { AuditLogApi } from "./api.js";
import { formatTimestamp, getSeverityClass } from "./format.js";
import { useAuditLogQuery, useAuditLogSearch, type Skip } from "./hooks.js";
import type { LiveStatus } from "./streams.js";
import type { SealogError } from "../error.js";

/** The texts of the components, to be had in another language. */
export interface Labels {
  loading: string;
  empty: string;
  reconnecting: string;
  failed: string;
  retry: string;
  more: string;
  search: string;
  total: string;
  topActions: string;
  topActors: string;
  noAnomalies: string;
  added: string;
  removed: string;
  changed: string;
}

const LABELS: Labels = {
  loading: "Loading…",
  empty: "Nothing has happened yet.",
  reconnecting: "The connection broke; this may be out of date.",
  failed: "This cannot be shown.",
  retry: "Try again",
  more: "Load more",
  search: "Search",
  total: "Events",
  topActions: "Most frequent actions",
  topActors: "Most active",
  noAnomalies: "Nothing unusual.",
  added: "added",
  removed: "removed",
  changed: "changed",
};

const SEVERITIES: Severity[] = ["critical", "error", "warning", "info"];

/** How a live answer is getting on, where people should know. */
function Status({ status, error, retry, labels }: { status: LiveStatus; error: SealogError | undefined; retry: () => void; labels: Labels }) {
  if (status === "failed") {
    return (
      <p className="sealog-status" role="alert">
        {labels.failed} {error && <span className="sealog-error">{error.message}</span>}{" "}
        <button type="button" onClick={retry}>
          {labels.retry}
        </button>
      </p>
    );
  }
  const text = status === "loading" ? labels.loading : status === "reconnecting" ? labels.reconnecting : "";
  return text ? (
    <p className="sealog-status" role="status">
      {text}
    </p>
  ) : null;
}

export interface DiffViewProps {
  /** The event whose changes are shown. */
  event: Pick<AuditLogEntry, "changes">;
  labels?: Partial<Labels>;
}

/** What a change changed: each place with the value before and after. */
export function DiffView({ event, labels }: DiffViewProps): ReactNode {
  const words = { ...LABELS, ...labels };
  const said = { add: words.added, remove: words.removed, replace: words.changed };
  if (!event.changes?.length) {
    return null;
  }
  return (
    <dl className="sealog-diff">
      {event.changes.map(({ op, path, old, value }, index) => (
        <div key={index} className={`sealog-diff-${op}`}>
          <dt>
            {readablePath(path)} <span className="sealog-diff-op">{said[op]}</span>
          </dt>
          {op !== "add" && (
            <dd>
              <del>{readableValue(old)}</del>
            </dd>
          )}
          {op !== "remove" && (
            <dd>
              <ins>{readableValue(value)}</ins>
            </dd>
          )}
        </div>
      ))}
    </dl>
  );
}

export interface EventListProps {
  events: readonly AuditLogEntry[];
  /** Shows one event otherwise. */
  renderEvent?: (event: AuditLogEntry) => ReactNode;
  labels?: Partial<Labels>;
}

/** Events, one below the other. */
export function EventList({ events, renderEvent, labels }: EventListProps): ReactNode {
  if (events.length === 0) {
    return <p className="sealog-empty">{labels?.empty ?? LABELS.empty}</p>;
  }
  return (
    <ol className="sealog-events">
      {events.map((event) => (
        <li key={event._id} className={getSeverityClass(event.severity)}>
          {renderEvent ? renderEvent(event) : <EventLine event={event} {...(labels ? { labels } : {})} />}
        </li>
      ))}
    </ol>
  );
}

function EventLine({ event, labels }: { event: AuditLogEntry; labels?: Partial<Labels> }) {
  const { action, actorId, actorName, resourceType, resourceId, severity, outcome, timestamp } = event;
  return (
    <>
      <span className="sealog-severity">{severity}</span> <strong className="sealog-action">{action}</strong>{" "}
      {outcome && <span className="sealog-outcome">{outcome}</span>}{" "}
      {actorId !== undefined && <span className="sealog-actor">{actorName ?? actorId}</span>}{" "}
      {resourceType !== undefined && (
        <span className="sealog-resource">
          {resourceType}
          {resourceId !== undefined && `/${resourceId}`}
        </span>
      )}{" "}
      <time className="sealog-time" dateTime={isoTime(timestamp)}>
        {formatTimestamp(timestamp)}
      </time>
      <DiffView event={event} {...(labels ? { labels } : {})} />
    </>
  );
}

/** A time for machines; none for one that no calendar has. */
function isoTime(timestamp: number): string | undefined {
  return Math.abs(timestamp) <= 8.64e15 ? new Date(timestamp).toISOString() : undefined;
}

export interface AuditLogViewerProps {
  /** From `createAuditLogApi`. What its token shows is what is shown here. */
  api: AuditLogApi;
  /** Which events; all that the token shows unless given. */
  filters?: SearchFilters;
  pageSize?: number;
  /** Whether people may search. Default: `true`. */
  isSearchable?: boolean;
  renderEvent?: (event: AuditLogEntry) => ReactNode;
  className?: string;
  labels?: Partial<Labels>;
}

/** A log to look through, live at its head: for a product's own customers, with a view token for each. */
export function AuditLogViewer(props: AuditLogViewerProps): ReactNode {
  const { api, filters, pageSize = 50, isSearchable = true, renderEvent, className, labels } = props;
  const words = { ...LABELS, ...labels };
  const [text, setText] = useState("");
  const asked = text === "" ? filters : { ...filters, text: [filters?.text, text].filter(Boolean).join(" ") };
  const { events, hasMore, isLoadingMore, loadMore, ...live } = useAuditLogSearch(api.search, {
    pageSize,
    ...(asked ? { filters: asked } : {}),
  });
  return (
    <section className={["sealog-viewer", className].filter(Boolean).join(" ")}>
      {isSearchable && (
        <form
          role="search"
          onSubmit={(submitted) => {
            submitted.preventDefault();
            setText(String(new FormData(submitted.currentTarget).get("text") ?? "").trim());
          }}
        >
          <input type="search" name="text" aria-label={words.search} />
          <button type="submit">{words.search}</button>
        </form>
      )}
      <Status {...live} labels={words} />
      {events && <EventList events={events} labels={words} {...(renderEvent ? { renderEvent } : {})} />}
      {hasMore && (
        <button type="button" className="sealog-more" onClick={loadMore} disabled={isLoadingMore}>
          {isLoadingMore ? words.loading : words.more}
        </button>
      )}
    </section>
  );
}

export interface StatsPanelProps {
  api: AuditLogApi;
  /** Which events, and how much of them. */
  args?: StatsArgs | Skip;
  labels?: Partial<Labels>;
}

/** How many events there are, by severity, and what and who is most frequent. */
export function StatsPanel({ api, args = {}, labels }: StatsPanelProps): ReactNode {
  const words = { ...LABELS, ...labels };
  const { data, ...live } = useAuditLogQuery(api.getStats, args);
  return (
    <section className="sealog-stats">
      <Status {...live} labels={words} />
      {data && (
        <>
          <dl className="sealog-counts">
            <div>
              <dt>{words.total}</dt>
              <dd>{data.totalCount.toLocaleString()}</dd>
            </div>
            {SEVERITIES.map((severity) => (
              <div key={severity} className={getSeverityClass(severity)}>
                <dt>{severity}</dt>
                <dd>{data.bySeverity[severity].toLocaleString()}</dd>
              </div>
            ))}
          </dl>
          <Top title={words.topActions} rows={data.topActions.map(({ action, count }) => [action, count])} />
          <Top title={words.topActors} rows={data.topActors.map(({ actorId, count }) => [actorId, count])} />
        </>
      )}
    </section>
  );
}

function Top({ title, rows }: { title: string; rows: [string, number][] }) {
  return (
    <table className="sealog-top">
      <caption>{title}</caption>
      <tbody>
        {rows.map(([value, count]) => (
          <tr key={value}>
            <th scope="row">{value}</th>
            <td>{count.toLocaleString()}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export interface AnomalyPanelProps {
  api: AuditLogApi;
  patterns: readonly AnomalyPattern[];
  labels?: Partial<Labels>;
}

/** Which patterns are met now. */
export function AnomalyPanel({ api, patterns, labels }: AnomalyPanelProps): ReactNode {
  const words = { ...LABELS, ...labels };
  const { data, ...live } = useAuditLogQuery(api.detectAnomalies, { patterns });
  return (
    <section className="sealog-anomalies" aria-live="polite">
      <Status {...live} labels={words} />
      {data?.length === 0 && <p className="sealog-empty">{words.noAnomalies}</p>}
      {data && data.length > 0 && (
        <ul>
          {data.map(({ name, group, count, threshold, windowMinutes, detectedAt }) => (
            <li key={`${name} ${group ?? ""} ${detectedAt}`}>
              <strong>{name}</strong> {group !== undefined && <span className="sealog-group">{group}</span>}{" "}
              <span className="sealog-count">
                {count} ≥ {threshold} / {windowMinutes} min
              </span>{" "}
              <time dateTime={isoTime(detectedAt)}>{formatTimestamp(detectedAt)}</time>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
