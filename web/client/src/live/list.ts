import type { AuditLogEntry } from "../types.js";

/** Newest first: by when it happened, and of one moment by its place in the log. */
export function newestFirst(a: AuditLogEntry, b: AuditLogEntry): number {
  return b.timestamp - a.timestamp || b.seq - a.seq;
}

/**
 * A list with more events in it: each once, the newest first. Past `limit`, the oldest go. Answers the same list
 * where nothing changes.
 */
export function withEntries(list: AuditLogEntry[], entries: readonly AuditLogEntry[], limit = Infinity): AuditLogEntry[] {
  const known = new Set(list.map((entry) => entry.seq));
  const added: AuditLogEntry[] = [];
  for (const entry of entries) {
    if (!known.has(entry.seq)) {
      known.add(entry.seq);
      added.push(entry);
    }
  }
  return added.length === 0 ? list : [...list, ...added].sort(newestFirst).slice(0, limit);
}
