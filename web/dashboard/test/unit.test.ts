import { afterEach, expect, test, vi } from "vitest";
import { differing } from "../src/events/proven";
import { taken, tokens, withCondition, without, written, writingAt } from "../src/query";
import { changesOf } from "../src/retention";
import { ago, duration, rangeOf } from "../src/time";
import { Timeline, type Source, type TimeRange } from "../src/timeline";
import type { AuditLogEntry, AuditLogStats } from "../src/api";

afterEach(() => vi.useRealTimers());

test("a filter is taken apart where the server takes it apart", () => {
  const text = 'actor:u-1,"u 2" severity>=warning  "reset link" -expired note:x a\\ b';
  expect(tokens(text).map(({ text, key, operator, value }) => [text, key, operator, value])).toEqual([
    ['actor:u-1,"u 2"', "actor", ":", 'u-1,"u 2"'],
    ["severity>=warning", "severity", ">=", "warning"],
    ['"reset link"', undefined, undefined, undefined],
    ["-expired", undefined, undefined, undefined],
    ["note:x", undefined, undefined, undefined],
    ["a\\ b", undefined, undefined, undefined],
  ]);
  expect(without(text, tokens(text)[1]!)).toBe('actor:u-1,"u 2" "reset link" -expired note:x a\\ b');
  expect(withCondition("severity:info x severity>=error", "severity", "severity:critical")).toBe("x severity:critical");
});

test("what is being written is known by where the cursor stands", () => {
  expect(writingAt("acti", 4)).toMatchObject({ begun: "acti", start: 0, end: 4 });
  expect(writingAt("action:user.l x", 13)).toMatchObject({ key: "action", begun: "user.l", start: 7, end: 13 });
  expect(writingAt("actor:a,be", 10)).toMatchObject({ key: "actor", begun: "be", start: 8, end: 10 });
  expect(writingAt("severity:in,error x", 11)).toMatchObject({ key: "severity", begun: "in", start: 9, end: 11 });
  expect(writingAt('actor:"a, b",c', 9)).toMatchObject({ begun: "a,", start: 6, end: 12 });
  expect(writingAt('actor:"a, b",c', 14)).toMatchObject({ begun: "c", start: 13, end: 14 });
  expect(writingAt("a  b", 2)).toMatchObject({ begun: "", start: 2, end: 2 });
});

test("what is taken leaves the conditions around it as they are", () => {
  const take = (text: string, cursor: number, insert: string) => taken(text, writingAt(text, cursor), insert);
  expect(take("acti severity:info", 4, "action:")).toEqual({ text: "action: severity:info", cursor: 7 });
  expect(take("actor:a severity:in x", 19, "info ")).toEqual({ text: "actor:a severity:info x", cursor: 22 });
  expect(take("out", 3, "outcome:")).toEqual({ text: "outcome:", cursor: 8 });
  // Of several values only the one that is being written.
  expect(take("severity:in,error x", 11, "info ")).toEqual({ text: "severity:info,error x", cursor: 13 });
  expect(take("severity:warning,cri", 12, "warning ")).toEqual({ text: "severity:warning,cri", cursor: 16 });
  expect(take("severity:info,err", 17, "error ")).toEqual({ text: "severity:info,error ", cursor: 20 });
  // And of a condition only its key, whether it is one already or not.
  expect(take("sev:a,b x", 3, "severity:")).toEqual({ text: "severity:a,b x", cursor: 9 });
  expect(take("actor:a", 3, "action:")).toEqual({ text: "action:a", cursor: 7 });
});

test("what is shown is held against what was sealed, field by field", () => {
  const shown = { _id: "e", _creationTime: 2, id: "e", seq: 1, action: "a.b", metadata: { y: [1, { d: 1, c: 2 }], x: null }, changes: [{ op: "add", path: "/a", value: 1 }], diff: {} };
  const sealed = { seq: 1, id: "e", action: "a.b", metadata: { x: null, y: [1, { c: 2, d: 1 }] }, diff: [{ op: "add", path: "/a", value: 1 }] };
  const forged = (change: object) => differing({ ...shown, ...change } as unknown as AuditLogEntry, sealed);
  expect(forged({})).toEqual([]);
  expect(forged({ action: "a.c", actorId: "u-1" })).toEqual(["action", "actorId"]);
  expect(forged({ metadata: undefined })).toEqual(["metadata"]);
  expect(forged({ metadata: { ...shown.metadata, y: [{ d: 1, c: 2 }, 1] } })).toEqual(["metadata"]);
  expect(forged({ changes: [{ op: "add", path: "/a", value: 2 }] })).toEqual(["diff"]);
});

test("of how long events are kept only that is sent which somebody has changed", () => {
  const loaded = { defaultRetentionDays: 90, criticalRetentionDays: null, customRetention: [{ category: "a", retentionDays: 1 }, { category: "b", retentionDays: 2 }, { category: "c", retentionDays: null }] };
  expect(changesOf(loaded, structuredClone(loaded), loaded)).toEqual({});
  expect(changesOf(loaded, { ...loaded, defaultRetentionDays: null }, loaded)).toEqual({ defaultRetentionDays: "forever" });
  expect(changesOf(loaded, { ...loaded, criticalRetentionDays: 7 }, loaded)).toEqual({ criticalRetentionDays: 7 });
  // Of the categories too: another has changed `a`, taken `c` away and made `d`; here `b` was changed, `a` stays, and `e` is new.
  const now = { ...loaded, customRetention: [{ category: "d", retentionDays: 4 }, { category: "a", retentionDays: 9 }, { category: "b", retentionDays: 2 }] };
  const own = [{ category: "a", retentionDays: 1 }, { category: "b", retentionDays: 3 }, { category: "c", retentionDays: null }, { category: "e", retentionDays: 5 }];
  expect(changesOf(loaded, { ...loaded, customRetention: own }, now)).toEqual({
    customRetention: [{ category: "d", retentionDays: 4 }, { category: "a", retentionDays: 9 }, { category: "b", retentionDays: 3 }, { category: "e", retentionDays: 5 }],
  });
  expect(changesOf(loaded, { ...loaded, customRetention: own.slice(1, 2) }, now)).toEqual({
    customRetention: [{ category: "d", retentionDays: 4 }, { category: "b", retentionDays: 3 }],
  });
});

test("a filter is written as it is read", () => {
  const filter = { actions: ["a.b", "c.*"], actorIds: ['o "x"'], resource: { type: "note", id: "n 1" }, tagsAll: ["x", "y"], text: '"two words"' };
  expect(written(filter)).toBe('action:a.b,c.* actor:"o \\"x\\"" resource:note:"n 1" tag:x tag:y "two words"');
});

test("ranges come from the address", () => {
  const now = 1_772_500_000_000;
  const range = (query: string) => rangeOf(new URLSearchParams(query), now, "24h");
  expect(range("")).toMatchObject({ name: "24h", from: 1_772_413_560_000 });
  expect(range("range=all")).toEqual({ name: "all", label: "All time" });
  expect(range("from=5&to=9")).toMatchObject({ name: "custom", from: 5, to: 9 });
  expect(range("from=x")).toMatchObject({ name: "24h" });
  expect([duration(1249), duration(300_000), duration(5)]).toEqual(["1.2 s", "5 min", "5 ms"]);
  expect([ago(now, now), ago(now - 61_000, now)]).toEqual(["now", "1 min ago"]);
});

/** A log in memory, as a source that counts what it is asked. */
function source(events: AuditLogEntry[]) {
  const asked = { pages: 0, stats: 0, most: 0 };
  const within = ({ from = -Infinity, to = Infinity }: TimeRange) => events.filter(({ timestamp }) => timestamp >= from && timestamp < to);
  const made: Source = {
    async page(range, limit, cursor) {
      asked.pages++;
      const from = Number(cursor ?? 0);
      const all = within(range).sort((a, b) => b.timestamp - a.timestamp || b.seq - a.seq);
      asked.most = Math.max(asked.most, Math.min(limit, all.length - from));
      return { items: all.slice(from, from + limit), cursor: String(from + limit), hasMore: from + limit < all.length };
    },
    async stats(range, bucketMs) {
      asked.stats++;
      const all = within(range);
      const first = Math.min(...all.map(({ timestamp }) => timestamp));
      const last = Math.max(...all.map(({ timestamp }) => timestamp));
      const length = bucketMs ?? Math.max(1, Math.ceil((last - first) / 50));
      const buckets = new Map<number, number>();
      for (const { timestamp } of all) {
        const start = Math.floor(timestamp / length) * length;
        buckets.set(start, (buckets.get(start) ?? 0) + 1);
      }
      const series = [...buckets].sort(([a], [b]) => a - b).map(([start, info]) => ({ start, bySeverity: { info, warning: 0, error: 0, critical: 0 } }));
      return { totalCount: all.length, series, bucketMs: length } as unknown as AuditLogStats;
    },
  };
  return { made, asked };
}

const entry = (seq: number, timestamp: number) => ({ id: `e-${seq}`, seq, timestamp }) as AuditLogEntry;

/** The event in a row, once it has been loaded. */
async function settled(timeline: Timeline, row: number): Promise<AuditLogEntry | undefined> {
  for (let turn = 0; turn < 200 && timeline.at(row) === undefined; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return timeline.at(row);
}

test("any row of a long list is found by a few questions, and it is the right one", async () => {
  // Bursts, gaps, and thousands in one millisecond.
  const events: AuditLogEntry[] = [];
  for (let seq = 0; seq < 60_000; seq++) {
    events.push(entry(seq, 1_000_000 + (seq < 3_000 ? 0 : seq < 30_000 ? Math.floor(seq / 7) : seq * 40)));
  }
  const newest = [...events].sort((a, b) => b.timestamp - a.timestamp || b.seq - a.seq);
  const { made, asked } = source(events);
  const timeline = new Timeline(made);
  await timeline.begin({}, newest.slice(0, 200), true);
  expect(timeline.length).toBe(60_000);
  for (const row of [0, 199, 200, 201, 29_999, 30_001, 45_000, 56_999, 57_000, 59_999]) {
    expect((await settled(timeline, row))?.id, `row ${row}`).toBe(newest[row]!.id);
  }
  expect(asked.pages).toBeLessThan(20);
  expect(asked.stats).toBeLessThan(30);
  expect(timeline.rowOf("e-0")).toBe(59_999);
  // Where an event is that is not there is known nearly by its time, and nearer each time that what is there was loaded.
  for (const row of [150, 20_000, 31_000, 50_000]) {
    const { id, timestamp } = newest[row]!;
    for (let turns = 0; turns < 4 && timeline.rowOf(id) === undefined; turns++) {
      await settled(timeline, timeline.near(timestamp));
    }
    expect(timeline.rowOf(id)).toBe(row);
  }
  expect(timeline.length).toBe(60_000);
});

test("what comes live is at the top, late events are where they belong, and nothing is there twice", async () => {
  const events = Array.from({ length: 1_000 }, (_, seq) => entry(seq, 1_000 + seq * 10));
  const newest = [...events].reverse();
  const { made } = source(events);
  const timeline = new Timeline(made);
  await timeline.begin({}, newest.slice(0, 100), true);
  let told = 0;
  timeline.subscribe(() => told++);
  expect(timeline.add([entry(1_000, 50_000), entry(1_001, 49_999), newest[3]!])).toBe(2);
  expect([timeline.at(0)!.seq, timeline.at(1)!.seq, timeline.at(2)!.seq]).toEqual([1_000, 1_001, 999]);
  await settled(timeline, 900);
  events.push(entry(1_002, 1_005));
  expect(timeline.add([entry(1_002, 1_005)])).toBe(0);
  expect(timeline.length).toBe(1_003);
  expect((await settled(timeline, 1_002))!.seq).toBe(0);
  expect((await settled(timeline, 1_001))!.seq).toBe(1_002);
  expect(told).toBeGreaterThan(1);
  // A flood is kept in bounds, and every row still is what it was.
  for (let seq = 2_000; seq < 12_000; seq += 500) {
    timeline.add(Array.from({ length: 500 }, (_, index) => entry(seq + index, 60_000 + seq + index)));
  }
  expect(timeline.length).toBe(11_003);
  expect([timeline.at(0)!.seq, timeline.at(5_000)!.seq, timeline.at(9_999)!.seq, timeline.at(10_000)!.seq]).toEqual([11_999, 6_999, 2_000, 1_000]);
});

test("what cannot be loaded is asked for again more and more seldom, or at once by hand", async () => {
  vi.useFakeTimers();
  const events = Array.from({ length: 900 }, (_, seq) => entry(seq, 1_000 + seq * 10));
  const { made } = source(events);
  let isAway = false;
  let asked = 0;
  const timeline = new Timeline({
    page: (...args) => (asked++, isAway ? Promise.reject(new Error("away")) : made.page(...args)),
    stats: (...args) => (isAway ? Promise.reject(new Error("away")) : made.stats(...args)),
  });
  await timeline.begin({}, [...events].reverse().slice(0, 100), true);
  // As a list does, which looks at its rows each time that it is told of a change.
  timeline.subscribe(() => void timeline.at(890));
  isAway = true;
  timeline.at(890);
  await vi.advanceTimersByTimeAsync(1_999);
  expect([asked, timeline.error]).toEqual([1, new Error("away")]);
  await vi.advanceTimersByTimeAsync(2);
  expect(asked).toBe(2);
  await vi.advanceTimersByTimeAsync(4_000 + 8_000 + 16_000);
  expect(asked).toBe(5);
  // Never less often than each half a minute.
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toBe(7);
  isAway = false;
  timeline.retry();
  await vi.advanceTimersByTimeAsync(0);
  expect([asked, timeline.error, timeline.at(890)?.seq]).toEqual([8, undefined, 9]);
  timeline.close();
});

test("a count that failed is asked for again by hand, and one of an earlier list changes nothing", async () => {
  const events = Array.from({ length: 900 }, (_, seq) => entry(seq, 1_000 + seq * 10));
  const newest = [...events].reverse();
  const { made } = source(events);
  const answers: { fail: () => void; answer: () => void }[] = [];
  const timeline = new Timeline({
    page: made.page,
    stats: (range, bucketMs) =>
      new Promise((resolve, reject) => answers.push({ fail: () => reject(new Error("away")), answer: () => void made.stats(range, bucketMs).then(resolve) })),
  });
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
  void timeline.begin({}, newest.slice(0, 100), true);
  answers[0]!.fail();
  await settle();
  expect([timeline.isCounted, timeline.error]).toEqual([false, new Error("away")]);
  timeline.retry();
  expect(timeline.error).toBeUndefined();
  answers[1]!.answer();
  await settle();
  expect([timeline.isCounted, timeline.length]).toEqual([true, 900]);
  // Two first pages, one after the other; the first one's count comes last.
  void timeline.begin({}, newest.slice(0, 100), true);
  events.push(entry(900, 20_000));
  void timeline.begin({}, [events.at(-1)!, ...newest.slice(0, 49)], true);
  answers[3]!.answer();
  await settle();
  answers[2]!.answer();
  await settle();
  expect(timeline.length).toBe(901);
  expect([timeline.at(0)!.seq, timeline.at(48)!.seq]).toEqual([900, 852]);
});
