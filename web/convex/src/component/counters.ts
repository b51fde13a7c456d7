// Counts events by spans of time, so that statistics of any range are exact and need not read the events. Each mutation
// writes to one shard of several by chance, so that those which log at once seldom meet.
import { getConvexSize } from "convex/values";
import type { Doc } from "./_generated/dataModel.js";
import type { DatabaseReader, DatabaseWriter } from "./_generated/server.js";
import { Budget, type Event } from "./streams.js";
import type { Severity } from "./validators.js";

const MINUTE_MS = 60_000;
/** The lengths of spans, in milliseconds: a day, an hour, a minute. What is shorter is counted from the events. */
const SPANS_MS = [24 * 60 * MINUTE_MS, 60 * MINUTE_MS, MINUTE_MS] as const;
/** Among how many documents of one span those who log at once are spread. */
const SHARDS = 16;
/** How many keys one document gathers, and how many bytes of them, so that it is cheap to write. */
const MAX_KEYS = 1_000;
const MAX_KEYS_BYTES = 64 * 1024;
/** The shard of spans that are over, whose documents were put together. */
const FOLDED = -1;
/** What is read of counters for events that come or go. It is read once more where it changes, and the events are besides. */
const COUNTING = { bytes: 2 * 1024 * 1024, ranges: 1_500 };
/** What is put together in one transaction, which reads, deletes and writes it. */
const FOLDING = { bytes: 4 * 1024 * 1024 };

type Counted = Pick<Event, "timestamp" | "severity" | "action" | "actorId">;
type Counter = Doc<"counters">;
type Counts = Pick<Counter, "severities" | "actions" | "actors">;
type Severities = Counter["severities"];

const NONE: Severities = { info: 0, warning: 0, error: 0, critical: 0 };

/** Counts by severity, action and actor. */
export class Tally {
  readonly severities: Severities = { ...NONE };
  readonly actions = new Map<string, number>();
  readonly actors = new Map<string, number>();

  event({ severity, action, actorId }: Counted): void {
    this.severities[severity]++;
    add(this.actions, action, 1);
    if (actorId !== undefined) {
      add(this.actors, actorId, 1);
    }
  }

  counts({ severities, actions, actors }: Counts, times = 1): void {
    for (const [severity, count] of Object.entries(severities)) {
      this.severities[severity as Severity] += times * count;
    }
    actions.forEach(({ key, count }) => add(this.actions, key, times * count));
    actors.forEach(({ key, count }) => add(this.actors, key, times * count));
  }

  isEmpty(): boolean {
    return this.#all().every((count) => count === 0);
  }

  /** Whether it takes something from other counts. */
  isTaking(): boolean {
    return this.#all().some((count) => count < 0);
  }

  #all(): number[] {
    return [...Object.values(this.severities), ...this.actions.values(), ...this.actors.values()];
  }

  /** What documents hold of it: as many as it takes for each to be small, and none of what is nothing. */
  parts(): Counts[] {
    const parts: Counts[] = [];
    let part: Counts = { severities: this.severities, actions: [], actors: [] };
    let size = { keys: 0, bytes: 0 };
    const close = () => {
      if (size.keys > 0 || Object.values(part.severities).some((count) => count !== 0)) {
        parts.push(part);
      }
    };
    for (const name of ["actions", "actors"] as const) {
      for (const [key, count] of this[name]) {
        if (count === 0) {
          continue;
        }
        const bytes = getConvexSize({ key, count });
        if (size.keys > 0 && !isSmall({ keys: size.keys + 1, bytes: size.bytes + bytes })) {
          close();
          part = { severities: NONE, actions: [], actors: [] };
          size = { keys: 0, bytes: 0 };
        }
        part[name].push({ key, count });
        size = { keys: size.keys + 1, bytes: size.bytes + bytes };
      }
    }
    close();
    return parts;
  }
}

interface Size {
  keys: number;
  bytes: number;
}

function isSmall({ keys, bytes }: Size): boolean {
  return keys <= MAX_KEYS && bytes <= MAX_KEYS_BYTES;
}

function sizeOf(...counts: Counts[]): Size {
  const keys = counts.flatMap(({ actions, actors }) => [...actions, ...actors]);
  return { keys: keys.length, bytes: keys.reduce((sum, entry) => sum + getConvexSize(entry), 0) };
}

function add(counts: Map<string, number>, key: string, times: number): void {
  counts.set(key, (counts.get(key) ?? 0) + times);
}

/** What is counted of these events in each span. */
function tallies(events: readonly Counted[]): { span: number; start: number; tally: Tally }[] {
  const found = new Map<string, { span: number; start: number; tally: Tally }>();
  for (const event of events) {
    for (const span of SPANS_MS) {
      const start = Math.floor(event.timestamp / span) * span;
      const key = `${span} ${start}`;
      const bucket = found.get(key) ?? { span, start, tally: new Tally() };
      found.set(key, bucket);
      bucket.tally.event(event);
    }
  }
  return [...found.values()];
}

/** One of the shards, by chance. */
function anyShard(): number {
  return Math.floor(Math.random() * SHARDS);
}

/** Counts events that are logged. */
export async function countIn(db: DatabaseWriter, events: readonly Counted[]): Promise<void> {
  const shard = anyShard();
  const budget = new Budget(COUNTING);
  for (const { span, start, tally } of tallies(events)) {
    const newest = budget.isSpent
      ? null
      : await db
          .query("counters")
          .withIndex("by_bucket", (q) => q.eq("span", span).eq("start", start).eq("shard", shard))
          .order("desc")
          .first();
    budget.spendRanges(1);
    const added = tally.parts();
    if (newest) {
      budget.spend(newest);
    }
    if (newest && isSmall(sizeOf(newest, ...added))) {
      tally.counts(newest);
      const [sum] = tally.parts();
      await (sum ? db.patch(newest._id, sum) : db.delete(newest._id));
    } else {
      // Where there is no room in the newest one there is another one: a key may be in both.
      await insert(db, { span, start, shard }, added);
    }
  }
}

async function insert(db: DatabaseWriter, place: Pick<Counter, "span" | "start" | "shard">, parts: Counts[]): Promise<void> {
  for (const part of parts) {
    await db.insert("counters", { ...place, ...part });
  }
}

/**
 * Takes events that go out of the counts, from whichever shards have them; what is empty then goes. What would take too
 * much to be found is written down as counts below nothing, and found when the span is put together.
 */
export async function countOut(db: DatabaseWriter, events: readonly Counted[]): Promise<void> {
  const budget = new Budget(COUNTING);
  for (const { span, start, tally } of tallies(events)) {
    if (!budget.isSpent) {
      await takeOut(db, { span, start, tally }, budget);
    }
    if (!tally.isEmpty()) {
      const below = new Tally();
      tally.parts().forEach((part) => below.counts(part, -1));
      await insert(db, { span, start, shard: anyShard() }, below.parts());
    }
  }
}

async function takeOut(
  db: DatabaseWriter,
  { span, start, tally }: { span: number; start: number; tally: Tally },
  budget: Budget,
): Promise<void> {
  const counters = db.query("counters").withIndex("by_bucket", (q) => q.eq("span", span).eq("start", start));
  for await (const counter of budget.read(counters)) {
    const severities = { ...counter.severities };
    let isTouched = false;
    for (const severity of Object.keys(severities) as Severity[]) {
      const taken = takenOf(severities[severity], tally.severities[severity]);
      severities[severity] -= taken;
      tally.severities[severity] -= taken;
      isTouched ||= taken > 0;
    }
    const actions = takeFrom(counter.actions, tally.actions);
    const actors = takeFrom(counter.actors, tally.actors);
    if (Object.values(severities).every((count) => count === 0) && actions.counts.length === 0 && actors.counts.length === 0) {
      await db.delete(counter._id);
    } else if (isTouched || actions.isTouched || actors.isTouched) {
      await db.patch(counter._id, { severities, actions: actions.counts, actors: actors.counts });
    }
    // Each document that is read costs, and may be written by others meanwhile.
    if (tally.isEmpty() || budget.isSpent) {
      return;
    }
  }
}

/** How much of what is wanted is there. */
function takenOf(count: number, wanted: number): number {
  return Math.max(0, Math.min(count, wanted));
}

function takeFrom(counts: Counter["actions"], wanted: Map<string, number>): { counts: Counter["actions"]; isTouched: boolean } {
  let isTouched = false;
  const left = counts.map(({ key, count }) => {
    const taken = takenOf(count, wanted.get(key) ?? 0);
    if (taken > 0) {
      isTouched = true;
      add(wanted, key, -taken);
    }
    return { key, count: count - taken };
  });
  return { counts: left.filter(({ count }) => count !== 0), isTouched };
}

/** Puts the documents of spans that are over together, so that long ranges are cheap to read; whether all is done. */
export async function fold(db: DatabaseWriter): Promise<boolean> {
  const now = Date.now();
  const budget = new Budget(FOLDING);
  for (let shard = 0; shard < SHARDS; shard++) {
    for (const span of SPANS_MS) {
      for (;;) {
        if (budget.isSpent) {
          return false;
        }
        budget.spendRanges(1);
        const next = await db
          .query("counters")
          .withIndex("by_shard", (q) => q.eq("shard", shard).eq("span", span).lt("start", now - 2 * span))
          .first();
        if (!next) {
          break;
        }
        budget.spend(next);
        await foldSpan(db, span, next.start, budget);
      }
    }
  }
  return true;
}

/** As far as the budget goes, but one document at least. */
async function foldSpan(db: DatabaseWriter, span: number, start: number, budget: Budget): Promise<void> {
  const tally = new Tally();
  const take = async (counter: Counter) => {
    await db.delete(counter._id);
    tally.counts(counter);
  };
  const bucket = db.query("counters").withIndex("by_bucket", (q) => q.eq("span", span).eq("start", start).gte("shard", 0));
  for await (const counter of budget.read(bucket)) {
    await take(counter);
    if (budget.isSpent) {
      break;
    }
  }
  // What is full is left alone, unless there is something to be taken out of it.
  const folded = db
    .query("counters")
    .withIndex("by_bucket", (q) => q.eq("span", span).eq("start", start).eq("shard", FOLDED))
    .order("desc");
  for await (const counter of budget.read(folded)) {
    await take(counter);
    if (!tally.isTaking() || budget.isSpent) {
      break;
    }
  }
  await insert(db, { span, start, shard: FOLDED }, tally.parts());
}

/** What is counted from `from` up to, but without, `end`: whole spans from the counters, the rest from the events. */
export async function tallyOf(db: DatabaseReader, from: number, end: number, budget = new Budget()): Promise<Tally> {
  const tally = new Tally();
  await cover(db, tally, from, end, budget, 0);
  return tally;
}

async function cover(db: DatabaseReader, tally: Tally, from: number, end: number, budget: Budget, level: number): Promise<void> {
  if (from >= end) {
    return;
  }
  const span = SPANS_MS[level];
  if (span === undefined) {
    const events = db.query("auditLogs").withIndex("by_timestamp", (q) => q.gte("timestamp", from).lt("timestamp", end));
    for await (const event of events) {
      spend(budget, event);
      tally.event(event);
    }
    return;
  }
  const first = Math.ceil(from / span) * span;
  const last = Math.floor(end / span) * span;
  if (first >= last) {
    await cover(db, tally, from, end, budget, level + 1);
    return;
  }
  await cover(db, tally, from, first, budget, level + 1);
  const counters = db.query("counters").withIndex("by_bucket", (q) => q.eq("span", span).gte("start", first).lt("start", last));
  for await (const counter of counters) {
    spend(budget, counter);
    tally.counts(counter);
  }
  await cover(db, tally, last, end, budget, level + 1);
}

function spend(budget: Budget, document: Event | Counter): void {
  if (budget.isSpent) {
    throw new Error("there is more to count than one query may read; ask for a shorter time, or the server");
  }
  budget.spend(document);
}
