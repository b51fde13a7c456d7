import type { AuditLogEntry } from "../api";

/** The names of the fields that are shown otherwise than they were sealed. */
export function differing(shown: AuditLogEntry, sealed: Record<string, unknown>): string[] {
  const { _id: _, _creationTime: __, diff: ___, changes, ...rest } = shown;
  const fields: Record<string, unknown> = { ...rest, diff: changes };
  const names = new Set([...Object.keys(fields), ...Object.keys(sealed)]);
  return [...names].filter((name) => ordered(fields[name]) !== ordered(sealed[name])).sort();
}

/** JSON in one spelling, whatever order its names came in. */
function ordered(json: unknown): string | undefined {
  return JSON.stringify(json, (_, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
