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
  /** Whether it is known how many there are. */
  isCounted = false;
  error: unknown;

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

  /** Begins with a first page; `hasMore` says that it is not all there is. */
  async begin(range: TimeRange, first: AuditLogEntry[], hasMore: boolean): Promise<void> {
    this.#head = first;
    this.#known = new Set(first.map(({ seq }) => seq));
    this.#rest = { from: range.from, to: 0, count: 0, parts: [], looked: 0 };
    this.#loaded.clear();
    this.#wanted = [];
    this.error = undefined;
    this.isCounted = !hasMore;
    const last = first.at(-1);
    if (hasMore && last) {
      // Others of the last one's millisecond may be on the next page, so that millisecond is of the rest.
      const to = last.timestamp + 1;
      this.#tell();
      try {
        const stats = await this.#source.stats({ ...range, to }, null);
        this.#rest = { from: range.from, to, count: stats.totalCount, looked: 0, parts: partsOf({ ...range, to }, stats) };
        this.#head = this.#head.filter(({ timestamp }) => timestamp >= to);
        this.#known = new Set(this.#head.map(({ seq }) => seq));
        this.isCounted = true;
      } catch (cause) {
        this.error = cause;
      }
    }
    this.#tell();
  }

  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
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
    if (!stretch.isLoading && !this.#wanted.includes(stretch)) {
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
        () => (this.error = undefined),
        (cause: unknown) => (this.error = cause),
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
    if (more === 0) {
      return;
    }
    const within = (outer: Stretch): boolean => outer === stretch || (outer.parts?.some(within) ?? false);
    for (let outer: Stretch | undefined = this.#rest; outer; outer = outer.parts?.find(within)) {
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
