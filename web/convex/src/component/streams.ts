// Reads events in the order of time from several ranges of indexes at once, so that filters come before limits.
import { getDocumentSize } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import type { DatabaseReader } from "./_generated/server.js";
import { SEVERITIES, type QueryFilters } from "./validators.js";

export type Event = Doc<"auditLogs">;
export type Order = "asc" | "desc";

/** How many documents one function looks at; Convex ends it at 32,000. What is left is behind a cursor, or for another one. */
const MAX_SCANNED = 16_000;
/** How many bytes of them; Convex ends it at 16 MiB. */
const MAX_SCANNED_BYTES = 8 * 1024 * 1024;
/** In how many ranges of indexes; Convex ends it at 4,096. */
const MAX_RANGES = 1_000;

/** What one function may still look at. */
export class Budget {
  #documents = MAX_SCANNED;
  #bytes: number;
  #ranges: number;

  constructor({ bytes = MAX_SCANNED_BYTES, ranges = MAX_RANGES }: { bytes?: number; ranges?: number } = {}) {
    this.#bytes = bytes;
    this.#ranges = ranges;
  }

  get isSpent(): boolean {
    return this.#documents <= 0 || this.#bytes <= 0 || this.#ranges <= 0;
  }

  spend(document: Event | Doc<"counters">): void {
    this.#documents--;
    this.#bytes -= getDocumentSize(document);
  }

  spendRanges(count: number): void {
    this.#ranges -= count;
  }

  /** What a range holds, which is spent as it is read. */
  async *read<Document extends Event | Doc<"counters">>(range: AsyncIterable<Document>): AsyncGenerator<Document, void, void> {
    this.spendRanges(1);
    for await (const document of range) {
      this.spend(document);
      yield document;
    }
  }
}

/**
 * How many ranges are read beside each other: the first event of each has to be known before the first of all is, and
 * twelve of a mebibyte leave room.
 */
const MAX_STREAMS = 12;

/** A place between events: all up to there were looked at. `ids` tells those of one moment apart. */
export interface Position {
  timestamp: number;
  creationTime: number;
  ids: string[];
}

/** What leads to the next page; texts that are no cursor are an error. */
export function readCursor(cursor: string | null | undefined): Position | undefined {
  if (cursor === null || cursor === undefined) {
    return undefined;
  }
  try {
    const [timestamp, creationTime, ...ids] = JSON.parse(cursor) as [number, number, ...string[]];
    if (typeof timestamp === "number" && typeof creationTime === "number") {
      return { timestamp, creationTime, ids };
    }
  } catch {
    // Told below.
  }
  throw new Error("the cursor is none of this log");
}

export function writeCursor({ timestamp, creationTime, ids }: Position): string {
  return JSON.stringify([timestamp, creationTime, ...ids]);
}

/** A part of an index: all events with these values in its first fields, which are in the order of time there. */
interface Part {
  index: "by_timestamp" | "by_action" | "by_actor" | "by_actor_action" | "by_resource" | "by_resource_type" | "by_severity";
  equal: [field: string, value: unknown][];
}

/** Filters, and one resource by type and id. */
export interface Selection extends QueryFilters {
  resource?: { type: string; id: string };
}

/** A list that says something: an empty one is no condition. */
function given<T>(list: readonly T[] | undefined): T[] | undefined {
  return list && list.length > 0 ? [...new Set(list)] : undefined;
}

/** The parts of one index that hold all that is selected, and as little else as may be. */
function partsOf(selection: Selection): Part[] {
  const { resource } = selection;
  const actors = given(selection.actorIds);
  const actions = given(selection.actions);
  const types = given(selection.resourceTypes);
  const severities = given(selection.severity);
  if (resource) {
    return [
      {
        index: "by_resource",
        equal: [
          ["resourceType", resource.type],
          ["resourceId", resource.id],
        ],
      },
    ];
  }
  if (actors && actions && actors.length * actions.length <= MAX_STREAMS) {
    return actors.flatMap((actor) =>
      actions.map((action): Part => ({
        index: "by_actor_action",
        equal: [
          ["actorId", actor],
          ["action", action],
        ],
      })),
    );
  }
  const lists: [Part["index"], string, string[] | undefined][] = [
    ["by_actor", "actorId", actors],
    ["by_action", "action", actions],
    ["by_resource_type", "resourceType", types],
    ["by_severity", "severity", severities && severities.length < SEVERITIES.length ? severities : undefined],
  ];
  for (const [index, field, values] of lists) {
    if (values && values.length <= MAX_STREAMS) {
      return values.map((value) => ({ index, equal: [[field, value]] }));
    }
  }
  return [{ index: "by_timestamp", equal: [] }];
}

/** Whether an event is selected: all conditions but the time, which the ranges keep. */
function isSelected(selection: Selection, event: Event): boolean {
  const { resource } = selection;
  const isIn = <T>(list: readonly T[] | undefined, value: T | undefined) =>
    !list || list.length === 0 || (value !== undefined && list.includes(value));
  return (
    isIn(selection.severity, event.severity) &&
    isIn(selection.actions, event.action) &&
    isIn(selection.resourceTypes, event.resourceType) &&
    isIn(selection.actorIds, event.actorId) &&
    (!given(selection.tags) || (event.tags ?? []).some((tag) => selection.tags!.includes(tag))) &&
    (!resource || (event.resourceType === resource.type && event.resourceId === resource.id))
  );
}

/** The events of a part, in order, after a position. */
async function* read(
  db: DatabaseReader,
  { index, equal }: Part,
  { fromTimestamp, toTimestamp }: QueryFilters,
  order: Order,
  after: Position | undefined,
  budget: Budget,
): AsyncGenerator<Event, void, void> {
  // Which fields an index has is known at run time only.
  const range = (bound: (q: any) => any) =>
    budget.read(
      db
        .query("auditLogs")
        .withIndex(index, (q: any) => bound(equal.reduce((bounds, [field, value]) => bounds.eq(field, value), q)))
        .order(order),
    );
  const from = (q: any) => (fromTimestamp === undefined ? q : q.gte("timestamp", fromTimestamp));
  const to = (q: any) => (toTimestamp === undefined ? q : q.lte("timestamp", toTimestamp));
  const isDescending = order === "desc";
  // A cursor comes from outside: it may lie anywhere, and the range holds nevertheless.
  const [first, last] = isDescending ? [toTimestamp, fromTimestamp] : [fromTimestamp, toTimestamp];
  const isBehind = (bound: number | undefined) =>
    after !== undefined && bound !== undefined && (isDescending ? after.timestamp < bound : after.timestamp > bound);
  if (isBehind(last)) {
    return;
  }
  if (!after || !(first === undefined || first === after.timestamp || isBehind(first))) {
    yield* range((q) => to(from(q)));
    return;
  }
  const { timestamp, creationTime, ids } = after;
  const same = range((q) => {
    const at = q.eq("timestamp", timestamp);
    return isDescending ? at.lte("_creationTime", creationTime) : at.gte("_creationTime", creationTime);
  });
  for await (const event of same) {
    if (event._creationTime !== creationTime || !ids.includes(event._id)) {
      yield event;
    }
  }
  yield* isDescending ? range((q) => from(q).lt("timestamp", timestamp)) : range((q) => to(q.gt("timestamp", timestamp)));
}

function compare(a: Event, b: Event): number {
  return a.timestamp - b.timestamp || a._creationTime - b._creationTime;
}

/** All that is selected, in order: the parts are merged. */
async function* select(
  db: DatabaseReader,
  selection: Selection,
  order: Order,
  after: Position | undefined,
  budget: Budget,
): AsyncGenerator<Event, void, void> {
  const direction = order === "asc" ? 1 : -1;
  const streams = partsOf(selection).map((part) => read(db, part, selection, order, after, budget));
  try {
    const heads = await Promise.all(streams.map((stream) => stream.next()));
    for (;;) {
      let first = -1;
      heads.forEach((head, at) => {
        if (!head.done && (first < 0 || direction * compare(head.value, heads[first]!.value as Event) < 0)) {
          first = at;
        }
      });
      if (first < 0) {
        return;
      }
      yield heads[first]!.value as Event;
      heads[first] = await streams[first]!.next();
    }
  } finally {
    await Promise.all(streams.map((stream) => stream.return()));
  }
}

export interface Page {
  items: Event[];
  /** Where the next page begins; `undefined` where there is none. */
  next: Position | undefined;
}

/** As many selected events as are wanted, or as the budget has, but one at least; the rest is behind `next`. */
export async function page(
  db: DatabaseReader,
  selection: Selection,
  { limit, order, after, budget = new Budget() }: { limit: number; order: Order; after?: Position | undefined; budget?: Budget },
): Promise<Page> {
  const items: Event[] = [];
  let at = after;
  for await (const event of select(db, selection, order, after, budget)) {
    const matches = isSelected(selection, event);
    // One more than is wanted is looked for, so that the last page says that it is the last.
    if ((matches && items.length === limit) || (budget.isSpent && at !== after)) {
      return { items, next: at };
    }
    if (matches) {
      items.push(event);
    }
    const isSame = at?.timestamp === event.timestamp && at.creationTime === event._creationTime;
    at = { timestamp: event.timestamp, creationTime: event._creationTime, ids: [...(isSame ? at!.ids : []), event._id] };
  }
  return { items, next: undefined };
}
