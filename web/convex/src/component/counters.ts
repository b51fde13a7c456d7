// Counts events by spans of time, so that statistics of any range are exact and need not read the events. Each mutation
// writes to one shard of several by chance, so that those which log at once seldom meet.
import type { Doc } from "./_generated/dataModel.js";
import type { DatabaseReader, DatabaseWriter } from "./_generated/server.js";
import { Budget, type Event } from "./streams.js";
import type { Severity } from "./validators.js";

const MINUTE_MS = 60_000;
/** The lengths of spans, in milliseconds: a day, an hour, a minute. What is shorter is counted from the events. */
const SPANS_MS = [24 * 60 * MINUTE_MS, 60 * MINUTE_MS, MINUTE_MS] as const;
/** Among how many documents of one span those who log at once are spread. */
const SHARDS = 16;
/** How many keys one document gathers, so that it stays far from a mebibyte and cheap to write. */
const MAX_KEYS = 1_000;
/** The shard of spans that are over, whose documents were put together. */
const FOLDED = -1;
/** How many spans are put together in one transaction. */
const FOLDED_SPANS = 10;

type Counted = Pick<Event, "timestamp" | "severity" | "action" | "actorId">;
type Counter = Doc<"counters">;

/** Counts by severity, action and actor. */
export class Tally {
  readonly severities: Record<Severity, number> = { info: 0, warning: 0, error: 0, critical: 0 };
  readonly actions = new Map<string, number>();
  readonly actors = new Map<string, number>();

  event({ severity, action, actorId }: Counted, times = 1): void {
    this.severities[severity] += times;
    add(this.actions, action, times);
    if (actorId !== undefined) {
      add(this.actors, actorId, times);
    }
  }

  counter({ severities, actions, actors }: Pick<Counter, "severities" | "actions" | "actors">): void {
    for (const [severity, count] of Object.entries(severities)) {
      this.severities[severity as Severity] += count;
    }
    actions.forEach(({ key, count }) => add(this.actions, key, count));
    actors.forEach(({ key, count }) => add(this.actors, key, count));
  }

  get keys(): number {
    return this.actions.size + this.actors.size;
  }

  isEmpty(): boolean {
    const counts = [...Object.values(this.severities), ...this.actions.values(), ...this.actors.values()];
    return counts.every((count) => count === 0);
  }

  fields(): Pick<Counter, "severities" | "actions" | "actors"> {
    const list = (counts: Map<string, number>) =>
      [...counts].filter(([, count]) => count !== 0).map(([key, count]) => ({ key, count }));
    return { severities: this.severities, actions: list(this.actions), actors: list(this.actors) };
  }
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

/** Counts events that are logged. */
export async function countIn(db: DatabaseWriter, events: readonly Counted[]): Promise<void> {
  const shard = Math.floor(Math.random() * SHARDS);
  for (const { span, start, tally } of tallies(events)) {
    const newest = await db
      .query("counters")
      .withIndex("by_bucket", (q) => q.eq("span", span).eq("start", start).eq("shard", shard))
      .order("desc")
      .first();
    const keys = (newest?.actions.length ?? 0) + (newest?.actors.length ?? 0) + tally.actions.size + tally.actors.size;
    // Where there is no room in the newest one there is another one: a key may be in both.
    if (newest && keys <= MAX_KEYS) {
      tally.counter(newest);
      await db.patch(newest._id, tally.fields());
    } else {
      await db.insert("counters", { span, start, shard, ...tally.fields() });
    }
  }
}

/** Takes events that go out of the counts, from whichever shards have them; what is empty then goes. */
export async function countOut(db: DatabaseWriter, events: readonly Counted[]): Promise<void> {
  for (const { span, start, tally } of tallies(events)) {
    const counters = db.query("counters").withIndex("by_bucket", (q) => q.eq("span", span).eq("start", start));
    for await (const counter of counters) {
      // Each document that is read costs, and may be written by others meanwhile.
      if (tally.isEmpty()) {
        break;
      }
      const severities = { ...counter.severities };
      let isTouched = false;
      for (const severity of Object.keys(severities) as Severity[]) {
        const taken = Math.min(severities[severity], tally.severities[severity]);
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
    }
  }
}

function takeFrom(counts: Counter["actions"], wanted: Map<string, number>): { counts: Counter["actions"]; isTouched: boolean } {
  let isTouched = false;
  const left = counts.map(({ key, count }) => {
    const taken = Math.min(count, wanted.get(key) ?? 0);
    if (taken > 0) {
      isTouched = true;
      add(wanted, key, -taken);
    }
    return { key, count: count - taken };
  });
  return { counts: left.filter(({ count }) => count > 0), isTouched };
}

/** Puts the documents of spans that are over together, so that long ranges are cheap to read; whether all is done. */
export async function fold(db: DatabaseWriter): Promise<boolean> {
  const now = Date.now();
  let left = FOLDED_SPANS;
  for (let shard = 0; shard < SHARDS; shard++) {
    for (const span of SPANS_MS) {
      while (left > 0) {
        const next = await db
          .query("counters")
          .withIndex("by_shard", (q) => q.eq("shard", shard).eq("span", span).lt("start", now - 2 * span))
          .first();
        if (!next) {
          break;
        }
        await foldSpan(db, span, next.start);
        left--;
      }
    }
  }
  return left > 0;
}

async function foldSpan(db: DatabaseWriter, span: number, start: number): Promise<void> {
  const counters = await db
    .query("counters")
    .withIndex("by_bucket", (q) => q.eq("span", span).eq("start", start))
    .collect();
  let tally = new Tally();
  const write = () => db.insert("counters", { span, start, shard: FOLDED, ...tally.fields() });
  for (const counter of counters) {
    await db.delete(counter._id);
    if (tally.keys > 0 && tally.keys + counter.actions.length + counter.actors.length > MAX_KEYS) {
      await write();
      tally = new Tally();
    }
    tally.counter(counter);
  }
  await write();
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
    tally.counter(counter);
  }
  await cover(db, tally, last, end, budget, level + 1);
}

function spend(budget: Budget, document: Event | Counter): void {
  if (budget.isSpent) {
    throw new Error("there is more to count than one query may read; ask for a shorter time, or the server");
  }
  budget.spend(document);
}
