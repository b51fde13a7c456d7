// The same questions, answered by the server: of the whole history, and also of what has left the tables. What has not
// been forwarded yet is not in these answers.
import { v } from "convex/values";
import { readableDiff, type AuditLogEntry as Remote, type AuditLogStats as Stats } from "sealog";
import { action } from "./_generated/server.js";
import { givenOf, server } from "./forwarding.js";
import { reportText } from "./reports.js";
import type { Selection } from "./streams.js";
import {
  checkLimit,
  LIST_EVENTS,
  MAX_LIMIT,
  MAX_RECORDS,
  questionArgs,
  SEVERITIES,
  vAnomalies,
  vEvent,
  vList,
  vPage,
  vReport,
  vStats,
  WATCHED,
  WATCHED_EVENTS,
  type AuditLogEntry,
  type QueryFilters,
} from "./validators.js";

const DAY_MS = 24 * 60 * 60_000;
const OWN_ACTIONS = ["sealog.*"];
/** How long the top lists are, and how long the server's are at the most. */
const TOP = 10;
const MAX_TOP = 1_000;
/** How often statistics are asked for while the server logs events of its own. */
const MAX_TRIES = 20;

/** Whether it is one of the server's own, such as `sealog.read`, of which the tables know nothing. */
function isOwn({ action }: { action: string }): boolean {
  return action.startsWith("sealog.");
}

/** An event as the tables tell it. Its `id` at the server is its `_id`; the caller's is in the metadata there. */
function entryOf({ id: _, recordedAt: __, changes: ___, metadata, ...entry }: Remote): AuditLogEntry {
  return { ...entry, ...givenOf(metadata) };
}

/** Where a filter means something else to the server, it is an error. */
function checkActions(actions: readonly string[] = []): void {
  const pattern = actions.find((action) => action.includes("*"));
  if (pattern !== undefined) {
    throw new Error(`${pattern} would be a pattern at the server; ask for each action by its whole name`);
  }
}

/** The server's ranges end before their last moment, those of the tables with it. */
function filtersOf<Filters extends QueryFilters>({ toTimestamp, ...filters }: Filters) {
  checkActions(filters.actions);
  return { ...filters, ...(toTimestamp === undefined ? {} : { toTimestamp: toTimestamp + 1 }) };
}

const reader = () => server("SEALOG_READ_KEY");
/** How many events the server has in one page. */
const PAGE_EVENTS = 1_000;

/** As many of the newest events as are wanted, in as many pages as it takes. */
async function pages(filters: Selection, limit: number, cursor: string | null = null) {
  checkLimit(limit, MAX_LIMIT);
  const items: AuditLogEntry[] = [];
  for (let most = limit; ; most *= 2) {
    const ask = async (limit: number) => reader().search({ filters: filtersOf(filters), pagination: { limit, cursor } });
    let page = await ask(Math.min(most, PAGE_EVENTS));
    const places = page.items.flatMap((event, at) => (isOwn(event) ? [] : [at]));
    const last = places[limit - items.length - 1];
    if (last !== undefined && last < page.items.length - 1) {
      // The next page begins behind the last one that is wanted, so this one ends there. It has a cursor, and is the same.
      page = await ask(last + 1);
    }
    items.push(...page.items.filter((event) => !isOwn(event)).map(entryOf));
    cursor = page.cursor;
    if (!page.hasMore || items.length === limit) {
      return { items, cursor, hasMore: page.hasMore, complete: true };
    }
  }
}

async function list(filters: Selection, limit: number) {
  const { items, complete } = await pages(filters, limit);
  return { items, complete };
}

export const queryByResource = action({
  args: questionArgs.queryByResource,
  returns: vList,
  handler: async (_, { resourceType: type, resourceId: id, limit = LIST_EVENTS, ...rest }) =>
    list({ ...rest, resource: { type, id } }, limit),
});

export const queryByActor = action({
  args: questionArgs.queryByActor,
  returns: vList,
  handler: async (_, { actorId, limit = LIST_EVENTS, ...rest }) => list({ ...rest, actorIds: [actorId] }, limit),
});

export const queryBySeverity = action({
  args: questionArgs.queryBySeverity,
  returns: vList,
  handler: async (_, { severity, limit = LIST_EVENTS, ...rest }) =>
    severity.length === 0 ? { items: [], complete: true } : list({ ...rest, severity }, limit),
});

export const queryByAction = action({
  args: questionArgs.queryByAction,
  returns: vList,
  handler: async (_, { action, limit = LIST_EVENTS, ...rest }) => list({ ...rest, actions: [action] }, limit),
});

export const watchCritical = action({
  args: questionArgs.watchCritical,
  returns: vList,
  handler: async (_, { severity = WATCHED, limit = WATCHED_EVENTS }) =>
    severity.length === 0 ? { items: [], complete: true } : list({ severity }, limit),
});

export const search = action({
  args: questionArgs.search,
  returns: vPage,
  handler: async (_, { filters, pagination: { limit, cursor } }) => pages(filters, limit, cursor),
});

export const get = action({
  args: questionArgs.get,
  returns: v.union(v.null(), vEvent),
  handler: async (_, { id }) => {
    const event = await reader().get(id);
    return event && !isOwn(event) ? entryOf(event) : null;
  },
});

export const getStats = action({
  args: questionArgs.getStats,
  returns: vStats,
  handler: async (_, { fromTimestamp = Date.now() - DAY_MS, ...rest }) => {
    const range = filtersOf({ fromTimestamp, ...rest });
    const ask = (actions: string[]) => reader().getStats({ ...range, actions, top: MAX_TOP });
    let before = await ask(OWN_ACTIONS);
    for (let left = MAX_TRIES; left > 0; left--) {
      const all = await ask([]);
      const own = await ask(OWN_ACTIONS);
      // It is counted at one moment if none of them came meanwhile.
      if (own.totalCount === before.totalCount) {
        return { ...without(all, own), complete: true };
      }
      before = own;
    }
    throw new Error("the server logs too much of its own to tell its events from the others; ask again");
  },
});

type Counted = Pick<Stats, "totalCount" | "bySeverity" | "topActions" | "topActors">;

/** What is counted but for the server's own. */
function without(all: Counted, own: Counted): Counted {
  if (own.topActors.length + TOP > MAX_TOP) {
    throw new Error("too many actors have asked the server in this time to tell who else is frequent; ask for a shorter one");
  }
  const actors = new Map(own.topActors.map(({ actorId, count }) => [actorId, count]));
  const bySeverity = { ...all.bySeverity };
  SEVERITIES.forEach((severity) => (bySeverity[severity] -= own.bySeverity[severity]));
  const topActors = all.topActors
    .map(({ actorId, count }) => ({ actorId, count: count - (actors.get(actorId) ?? 0) }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count || (a.actorId < b.actorId ? -1 : 1))
    .slice(0, TOP);
  const topActions = all.topActions.filter((counted) => !isOwn(counted)).slice(0, TOP);
  return { totalCount: all.totalCount - own.totalCount, bySeverity, topActions, topActors };
}

export const detectAnomalies = action({
  args: questionArgs.detectAnomalies,
  returns: vAnomalies,
  handler: async (_, { patterns }) => {
    // The server's own events trigger nothing there.
    checkActions(patterns.map(({ action }) => action));
    const asked = patterns.map(({ filter, ...pattern }) => ({ ...pattern, ...(filter ? { filter: filtersOf(filter) } : {}) }));
    const found = await reader().detectAnomalies(asked);
    return { items: found.map(({ ids: _, ...anomaly }) => anomaly), complete: true };
  },
});

export const generateReport = action({
  args: questionArgs.generateReport,
  returns: vReport,
  handler: async (_, { startDate, endDate, maxRecords = MAX_RECORDS, cursor, ...rest }) => {
    checkLimit(maxRecords, MAX_RECORDS);
    // Where the page begins: a time, and how many events of that time the pages before have told.
    const [from, told] = cursor == null ? [startDate, 0] : readPlace(cursor);
    const startsAt = Math.max(from, startDate);
    const body = await reader().streamReport({ startDate: startsAt, endDate: endDate + 1, format: "ndjson" });
    const items: AuditLogEntry[] = [];
    let toSkip = from < startDate ? 0 : told;
    let next: string | null = null;
    for await (const row of rows(body)) {
      if (toSkip > 0) {
        toSkip--;
      } else if (items.length < maxRecords) {
        items.push(row);
      } else {
        const { timestamp } = items.at(-1)!;
        const same = items.filter((item) => item.timestamp === timestamp).length;
        next = JSON.stringify([timestamp, same + (timestamp === startsAt ? told : 0)]);
        break;
      }
    }
    return {
      format: rest.format,
      data: reportText(items, rest, cursor == null),
      generatedAt: Date.now(),
      recordCount: items.length,
      truncated: next !== null,
      cursor: next,
      complete: true,
    };
  },
});

function readPlace(cursor: string): [number, number] {
  try {
    const [timestamp, told] = JSON.parse(cursor) as unknown[];
    if (Number.isSafeInteger(timestamp) && Number.isSafeInteger(told)) {
      return [timestamp as number, told as number];
    }
  } catch {
    // Told below.
  }
  throw new Error("the cursor is none of this report");
}

/** The events of a report, as they come: what nobody waits for is not fetched. */
async function* rows(body: ReadableStream<Uint8Array>): AsyncGenerator<AuditLogEntry, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let isWhole = false;
  try {
    for (let text = ""; ;) {
      const { done, value } = await reader.read();
      text += decoder.decode(value, { stream: !done });
      const lines = text.split("\n");
      text = lines.pop()!;
      for (const line of lines) {
        const event = JSON.parse(line);
        isWhole = event.end !== undefined;
        // Before and behind the events it says what it is of itself.
        if (typeof event.id === "string" && typeof event.seq === "number" && !isOwn(event)) {
          yield entryOf({
            ...event,
            _id: event.id,
            _creationTime: event.recordedAt,
            ...(event.diff ? { diff: readableDiff(event.diff) } : {}),
          });
        }
      }
      if (done && !isWhole) {
        throw new Error("the server's report ends before its end");
      }
      if (done) {
        return;
      }
    }
  } finally {
    await reader.cancel();
  }
}

/** What shows that an event is in the server's log: a file that `verifyProof` of `sealog` checks, and any other program. */
export const getProof = action({
  args: questionArgs.get,
  returns: v.string(),
  handler: async (_, { id }) => reader().getProof(id),
});
