// A list of all events that a filter selects, the newest first, however many: what is looked at is loaded, and of the
// rest it is known how many there are and when. The head is what has come since, told live.
import type { AuditLogEntry, AuditLogStats } from "./api";

export interface Source {
  /** A page of the range, the newest first. */
  page(range: TimeRange, limit: number, cursor: string | null): Promise<{ items: AuditLogEntry[]; cursor: string | null; hasMore: boolean }>;
  /** How many there are in the range, over time. */
  stats(range: TimeRange, bucketMs: number | null): Promise<AuditLogStats>;
}

export interface TimeRange {
  /** The first millisecond; all of time unless given. */
  from?: number;
  /** The first one after it. */
  to?: number;
}

/** A stretch of time and how many events are in it: their entries, or the stretches that it is made of, or neither yet. */
interface Stretch {
  from: number | undefined;
  to: number;
  count: number;
  parts?: Stretch[];
  entries?: AuditLogEntry[];
  isLoading?: boolean;
  /** When it was last looked at. */
  looked: number;
}

/** A stretch with no more events than these is loaded as a whole. */
const LEAF_EVENTS = 400;
const PAGE_EVENTS = 1000;
/** A stretch is taken apart into so many. */
const PARTS = 100;
/** Loaded stretches beyond these are let go, those first that were not looked at for longest. */
const MAX_LOADED = 60;
/** The head is folded into a stretch when it grows beyond this. */
const MAX_HEAD = 2000;
const FOLDED = 1000;
/** So long a stretch that could not be loaded is left alone, and twice as long after each further failure, in milliseconds. */
const REST_MS = 2_000;
const MAX_REST_MS = 30_000;
/** Two questions at a time: somebody who drags through a million rows does not ask for all of them. */
const MAX_ASKED = 2;

export class Timeline {
  readonly #source: Source;
  readonly #listeners = new Set<() => void>();
  #head: AuditLogEntry[] = [];
  #known = new Set<number>();
  #rest: Stretch = { from: undefined, to: 0, count: 0, parts: [], looked: 0 };
  #loaded = new Set<Stretch>();
  #wanted: Stretch[] = [];
  #asked = 0;
  #turn = 0;
  #version = 0;
  #isClosed = false;
  /** What could not be loaded; `timer` runs while it rests. */
  #failed = new Map<Stretch, { cause: unknown; times: number; timer?: ReturnType<typeof setTimeout> }>();
  /** What is behind the first page: not yet counted while it is here. */
  #uncounted: { from?: number; to: number } | undefined;
  #countError: unknown;

  constructor(source: Source) {
    this.#source = source;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Another number each time that something has changed. */
  readonly version = (): number => this.#version;

  get length(): number {
    return this.#head.length + this.#rest.count;
  }

  /** Whether it is known how many there are. */
  get isCounted(): boolean {
    return this.#uncounted === undefined;
  }

  /** As many of the newest as are there without asking, up to a number. */
  newest(most: number): readonly AuditLogEntry[] {
    return this.#head.slice(0, most);
  }

  /** Why something that was looked at is not there. */
  get error(): unknown {
    return this.#countError ?? [...this.#failed.values()].at(-1)?.cause;
  }

  /** Begins with a first page; `hasMore` says that it is not all there is. */
  async begin(range: TimeRange, first: AuditLogEntry[], hasMore: boolean): Promise<void> {
    this.#head = first;
    this.#known = new Set(first.map(({ seq }) => seq));
    this.#rest = { from: range.from, to: 0, count: 0, parts: [], looked: 0 };
    this.#loaded.clear();
    this.#wanted = [];
    this.#forgive();
    this.#countError = undefined;
    const last = first.at(-1);
    // Others of the last one's millisecond may be on the next page, so that millisecond is of the rest.
    this.#uncounted = hasMore && last ? { ...range, to: last.timestamp + 1 } : undefined;
    this.#tell();
    await this.#count();
  }

  async #count(): Promise<void> {
    const range = this.#uncounted;
    if (!range) {
      return;
    }
    let stats: AuditLogStats | undefined;
    let failure: unknown;
    try {
      stats = await this.#source.stats(range, null);
    } catch (cause) {
      failure = cause;
    }
    // Another first page may have come meanwhile, or the same may have been counted.
    if (this.#uncounted !== range) {
      return;
    }
    this.#countError = failure;
    if (stats) {
      this.#rest = { from: range.from, to: range.to, count: stats.totalCount, looked: 0, parts: partsOf(range, stats) };
      this.#head = this.#head.filter(({ timestamp }) => timestamp >= range.to);
      this.#known = new Set(this.#head.map(({ seq }) => seq));
      this.#uncounted = undefined;
    }
    this.#tell();
  }

  /** Asks again at once for what could not be had. */
  retry(): void {
    this.#forgive();
    this.#countError = undefined;
    this.#tell();
    void this.#count();
  }

  close(): void {
    this.#isClosed = true;
    this.#forgive();
    this.#listeners.clear();
  }

  #forgive(): void {
    this.#failed.forEach(({ timer }) => clearTimeout(timer));
    this.#failed.clear();
  }

  /** The event in a row; nothing while it is being loaded. */
  at(row: number): AuditLogEntry | undefined {
    if (row < this.#head.length) {
      return this.#head[row];
    }
    let place = row - this.#head.length;
    let stretch = this.#rest;
    while (stretch.parts) {
      const parts = stretch.parts;
      let index = 0;
      while (index < parts.length && place >= parts[index]!.count) {
        place -= parts[index++]!.count;
      }
      const next = parts[index];
      if (!next) {
        return undefined;
      }
      stretch = next;
    }
    stretch.looked = ++this.#turn;
    if (stretch.entries) {
      return stretch.entries[place];
    }
    if (!stretch.isLoading && !this.#failed.get(stretch)?.timer && !this.#wanted.includes(stretch)) {
      this.#wanted.push(stretch);
      this.#ask();
    }
    return undefined;
  }

  /** Where an event is, if it is among those that are loaded. */
  rowOf(id: string): number | undefined {
    const inHead = this.#head.findIndex((entry) => entry.id === id);
    if (inHead >= 0) {
      return inHead;
    }
    let row = this.#head.length;
    const look = (stretch: Stretch): number | undefined => {
      for (const part of stretch.parts ?? []) {
        const found = look(part);
        if (found !== undefined) {
          return found;
        }
      }
      if (!stretch.parts) {
        const place = stretch.entries?.findIndex((entry) => entry.id === id) ?? -1;
        if (place >= 0) {
          return row + place;
        }
        row += stretch.count;
      }
      return undefined;
    };
    return look(this.#rest);
  }

  /** As near as is known yet to the row of an event of this time. It is nearer when what is there has been loaded. */
  near(timestamp: number): number {
    const inHead = this.#head.findIndex((entry) => entry.timestamp <= timestamp);
    if (inHead >= 0) {
      return inHead;
    }
    let row = this.#head.length;
    for (let stretch = this.#rest; stretch.parts; ) {
      let next: Stretch | undefined;
      for (const part of stretch.parts) {
        if (part.from === undefined || part.from <= timestamp) {
          next = part;
          break;
        }
        row += part.count;
      }
      if (!next) {
        break;
      }
      stretch = next;
    }
    return Math.min(row, this.length - 1);
  }

  /** Takes what was told live. Answers how many rows came in at the top. */
  add(entries: readonly AuditLogEntry[]): number {
    let added = 0;
    let late = 0;
    for (const entry of entries) {
      if (this.#known.has(entry.seq)) {
        continue;
      }
      if (entry.timestamp < this.#rest.to) {
        late += this.#addLate(entry) ? 1 : 0;
        continue;
      }
      this.#known.add(entry.seq);
      // Mostly it is the newest; one with an older timestamp goes where it belongs.
      let place = 0;
      while (place < this.#head.length && isNewer(this.#head[place]!, entry)) {
        place++;
      }
      this.#head.splice(place, 0, entry);
      added++;
    }
    if (this.#head.length > MAX_HEAD) {
      this.#fold();
    }
    if (added + late > 0) {
      this.#tell();
    }
    return added;
  }

  /** An event that happened earlier than those that are known already. */
  #addLate(entry: AuditLogEntry): boolean {
    const path: Stretch[] = [this.#rest];
    for (let stretch = this.#rest; stretch.parts; ) {
      const next = stretch.parts.find((part) => (part.from === undefined || entry.timestamp >= part.from) && entry.timestamp < part.to);
      if (!next) {
        // It is between two stretches, and gets one of its own.
        const own: Stretch = { from: entry.timestamp, to: entry.timestamp + 1, count: 1, entries: [entry], looked: 0 };
        const place = stretch.parts.findIndex((part) => part.to <= entry.timestamp);
        stretch.parts.splice(place < 0 ? stretch.parts.length : place, 0, own);
        path.forEach((part) => part.count++);
        return true;
      }
      path.push(next);
      stretch = next;
    }
    const leaf = path.at(-1)!;
    if (leaf.entries) {
      if (leaf.entries.some(({ seq }) => seq === entry.seq)) {
        return false;
      }
      const place = leaf.entries.findIndex((known) => !isNewer(known, entry));
      leaf.entries.splice(place < 0 ? leaf.entries.length : place, 0, entry);
    }
    path.forEach((part) => part.count++);
    return true;
  }

  /** Makes a stretch of the oldest of the head, so that what is kept does not grow with what happens. */
  #fold(): void {
    let cut = this.#head.length - FOLDED;
    while (cut < this.#head.length && this.#head[cut]!.timestamp === this.#head[cut - 1]!.timestamp) {
      cut++;
    }
    const folded = this.#head.slice(cut);
    const newest = folded[0];
    if (!newest) {
      return;
    }
    this.#head = this.#head.slice(0, cut);
    this.#known = new Set(this.#head.map(({ seq }) => seq));
    const part: Stretch = { from: this.#rest.to, to: newest.timestamp + 1, count: folded.length, entries: folded, looked: ++this.#turn };
    const parts = this.#rest.parts ?? [];
    this.#rest = { ...this.#rest, to: part.to, count: this.#rest.count + part.count, parts: [part, ...parts] };
    this.#keep(part);
  }

  #ask(): void {
    while (this.#asked < MAX_ASKED && this.#wanted.length > 0) {
      // What was looked at last is what somebody sees now.
      const stretch = this.#wanted.pop()!;
      this.#wanted = this.#wanted.slice(-4);
      stretch.isLoading = true;
      this.#asked++;
      void this.#load(stretch).then(
        () => this.#failed.delete(stretch),
        (cause: unknown) => this.#rests(stretch, cause),
      ).finally(() => {
        stretch.isLoading = false;
        this.#asked--;
        if (!this.#isClosed) {
          this.#tell();
          this.#ask();
        }
      });
    }
  }

  /** Leaves a stretch alone for a while: what is drawn asks for it each time that it is drawn. */
  #rests(stretch: Stretch, cause: unknown): void {
    if (this.#isClosed || !isWithin(this.#rest, stretch)) {
      return;
    }
    const times = (this.#failed.get(stretch)?.times ?? 0) + 1;
    const failed = { cause, times };
    const timer = setTimeout(() => {
      this.#failed.set(stretch, failed);
      this.#tell();
    }, Math.min(MAX_REST_MS, REST_MS * 2 ** (times - 1)));
    this.#failed.set(stretch, { ...failed, timer });
  }

  async #load(stretch: Stretch): Promise<void> {
    const range = { ...(stretch.from === undefined ? {} : { from: stretch.from }), to: stretch.to };
    const span = stretch.from === undefined ? Infinity : stretch.to - stretch.from;
    if (stretch.count > LEAF_EVENTS && span > 1) {
      const bucketMs = span === Infinity ? null : Math.max(1, Math.ceil(span / PARTS));
      const stats = await this.#source.stats(range, bucketMs);
      this.#counted(stretch, stats.totalCount);
      stretch.parts = partsOf(range, stats);
      return;
    }
    const entries: AuditLogEntry[] = [];
    let cursor: string | null = null;
    do {
      const page = await this.#source.page(range, PAGE_EVENTS, cursor);
      entries.push(...page.items);
      cursor = page.hasMore ? page.cursor : null;
    } while (cursor !== null);
    stretch.entries = entries;
    this.#counted(stretch, entries.length);
    this.#keep(stretch);
  }

  /** How many there really are: some may have gone or come since they were counted. */
  #counted(stretch: Stretch, count: number): void {
    const more = count - stretch.count;
    // What was asked of an earlier list says nothing of this one.
    if (more === 0 || !isWithin(this.#rest, stretch)) {
      return;
    }
    for (let outer: Stretch | undefined = this.#rest; outer; outer = outer.parts?.find((part) => isWithin(part, stretch))) {
      outer.count += more;
      if (outer === stretch) {
        break;
      }
    }
  }

  #keep(stretch: Stretch): void {
    this.#loaded.add(stretch);
    if (this.#loaded.size > MAX_LOADED) {
      const [oldest] = [...this.#loaded].sort((a, b) => a.looked - b.looked);
      this.#loaded.delete(oldest!);
      delete oldest!.entries;
    }
  }

  #tell(): void {
    this.#version++;
    this.#listeners.forEach((listener) => listener());
  }
}

function isWithin(outer: Stretch, stretch: Stretch): boolean {
  return outer === stretch || (outer.parts?.some((part) => isWithin(part, stretch)) ?? false);
}

function isNewer(a: AuditLogEntry, b: AuditLogEntry): boolean {
  return a.timestamp > b.timestamp || (a.timestamp === b.timestamp && a.seq > b.seq);
}

/** The stretches of a series, the newest first, without those that hold nothing. */
function partsOf(range: { from?: number; to: number }, { series, bucketMs }: AuditLogStats): Stretch[] {
  const parts = series.map(({ start, bySeverity }) => ({
    from: range.from === undefined ? start : Math.max(start, range.from),
    to: Math.min(start + bucketMs, range.to),
    count: Object.values(bySeverity).reduce((sum, count) => sum + count, 0),
    looked: 0,
  }));
  return parts.filter(({ count }) => count > 0).reverse();
}
