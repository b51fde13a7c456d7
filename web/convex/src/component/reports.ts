// What a page of a report looks like.
import { canonicalJson, isObject, type Json } from "sealog/policy";
import type { AuditLogEntry, ReportArgs } from "./validators.js";

/** What a report shows of each event unless fields are named. */
const DEFAULT_FIELDS = ["timestamp", "action", "actorId", "resourceType", "resourceId", "severity"];

/** A field by its name, by dots (`metadata.method`), or as a JSON Pointer; `time` and `date` are made of the timestamp. */
function valueAt(event: AuditLogEntry, field: string): unknown {
  if (field === "time" || field === "date") {
    const time = new Date(event.timestamp).toISOString();
    return field === "time" ? time : time.slice(0, 10);
  }
  const segments = field.startsWith("/")
    ? field
        .slice(1)
        .split("/")
        .map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"))
    : field.split(".");
  return segments.reduce<unknown>((value, segment) => {
    const isInside = (Array.isArray(value) || isObject(value)) && Object.hasOwn(value, segment);
    return isInside ? (value as Record<string, unknown>)[segment] : undefined;
  }, event);
}

/** The events as a text. Of a table the first page begins with the names. */
export function reportText(
  events: readonly AuditLogEntry[],
  { format, includeFields = DEFAULT_FIELDS, groupBy }: Pick<ReportArgs, "format" | "includeFields" | "groupBy">,
  isFirst: boolean,
): string {
  const row = (event: AuditLogEntry) =>
    Object.fromEntries(includeFields.map((field) => [field, valueAt(event, field)]).filter(([, value]) => value !== undefined));
  const table = (names: string[], rows: unknown[][]) =>
    [...(isFirst ? [names] : []), ...rows].map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
  if (groupBy === undefined) {
    return format === "csv"
      ? table(
          includeFields,
          events.map((event) => includeFields.map((field) => valueAt(event, field))),
        )
      : JSON.stringify(events.map(row), null, 2);
  }
  const groups = grouped(events, groupBy);
  if (format === "csv") {
    const others = includeFields.filter((field) => field !== groupBy);
    const rows = groups.flatMap(([value, inside]) =>
      inside.map((event) => [value, inside.length, ...others.map((field) => valueAt(event, field))]),
    );
    return table([groupBy, "groupCount", ...others], rows);
  }
  const named = new Map<string, object[]>();
  for (const [value, inside] of groups) {
    const name = typeof value === "string" ? value : value === undefined ? "unknown" : canonicalJson(value as Json);
    named.set(name, [...(named.get(name) ?? []), ...inside.map(row)]);
  }
  return JSON.stringify(Object.fromEntries(named), null, 2);
}

/** The events by their value of a field, in the order of these values as JSON; those that have none are the first. */
function grouped(events: readonly AuditLogEntry[], field: string): [value: unknown, inside: AuditLogEntry[]][] {
  const groups = new Map<string, [value: unknown, inside: AuditLogEntry[]]>();
  for (const event of events) {
    const value = valueAt(event, field);
    const key = value === undefined ? "" : canonicalJson(value as Json);
    const group = groups.get(key);
    if (group) {
      group[1].push(event);
    } else {
      groups.set(key, [value, [event]]);
    }
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

/**
 * A cell after RFC 4180: a string stands as it is and all else as JSON. One that a spreadsheet would run as a formula
 * begins with an apostrophe, and so does one that begins with an apostrophe itself.
 */
function cell(value: unknown): string {
  if (value === undefined) {
    return "";
  }
  const text =
    typeof value !== "string" ? canonicalJson(value as Json) : /^[=+\-@\t\r\n＝＋－＠']/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
