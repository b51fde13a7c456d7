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
  const groups = new Map<string, AuditLogEntry[]>();
  for (const event of events) {
    const value = groupBy === undefined ? "" : (valueAt(event, groupBy) ?? "unknown");
    const key = typeof value === "string" ? value : canonicalJson(value as Json);
    const group = groups.get(key);
    if (group) {
      group.push(event);
    } else {
      groups.set(key, [event]);
    }
  }
  if (format === "csv") {
    const fields = groupBy === undefined ? includeFields : [groupBy, ...includeFields.filter((field) => field !== groupBy)];
    const rows = [...groups.values()].flat().map((event) => fields.map((field) => cell(valueAt(event, field))));
    const names = fields.map(cell);
    return [...(isFirst ? [names] : []), ...rows].map((cells) => `${cells.join(",")}\r\n`).join("");
  }
  const row = (event: AuditLogEntry) =>
    Object.fromEntries(includeFields.map((field) => [field, valueAt(event, field)]).filter(([, value]) => value !== undefined));
  const shown =
    groupBy === undefined ? events.map(row) : Object.fromEntries([...groups].map(([key, rows]) => [key, rows.map(row)]));
  return JSON.stringify(shown, null, 2);
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
