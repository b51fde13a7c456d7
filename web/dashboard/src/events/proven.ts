import { equalJson, type Json } from "sealog/policy";
import type { AuditLogEntry } from "../api";

/** The names of the fields that are shown otherwise than they were sealed. */
export function differing(shown: AuditLogEntry, sealed: Record<string, unknown>): string[] {
  const { _id: _, _creationTime: __, diff: ___, changes, ...rest } = shown;
  const fields: Record<string, unknown> = { ...rest, diff: changes };
  const names = new Set([...Object.keys(fields), ...Object.keys(sealed)]);
  return [...names].filter((name) => !equalJson(fields[name] as Json, sealed[name] as Json)).sort();
}
