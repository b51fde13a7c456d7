import { asError, type Transport } from "../transport.js";
import type { SealogError } from "../error.js";
import { Connection } from "../live/connection.js";
import type { Frame } from "../live/frames.js";
import { withEntries } from "../live/list.js";
import type { Phase } from "../live/state.js";
import type { Anomaly, AnomalyPattern, AuditLogEntry, AuditLogStats } from "../types.js";
import { anomaliesOf, entryOf, pageOf, questions, statsOf, type Question, type QuestionName } from "../wire.js";

/** A stream that was paused for longer starts with a first page again, in milliseconds, and not with all that it missed. */
const RESYNC_AFTER_MS = 60_000;
/** How many events a search keeps at the most: more than anybody scrolls through, and bounded. */
const MAX_SEARCH_EVENTS = 10_000;
const DEFAULT_LIMIT = 50;

/** How a live answer is getting on. */
export type LiveStatus =
  /** Nothing is known yet, but what was known of the times before, where only those moved on. */
  | "loading"
  /** What is shown is what is. */
  | "live"
  /** What is shown was true when the line broke; it comes again. */
  | "reconnecting"
  /** The tab is hidden. */
  | "paused"
  /** It was given up; `retry` tries again. */
  | "failed";

export interface LiveResult<T> {
  /** The answer; `undefined` while it is loading for the first time. */
  data: T | undefined;
  status: LiveStatus;
  /** What went wrong last, while it is wrong. */
  error: SealogError | undefined;
}

/** The first page, what came since, and the pages that were loaded behind it. */
export interface SearchData {
  events: AuditLogEntry[];
  cursor: string | null;
  hasMore: boolean;
  isLoadingMore: boolean;
}

/** What each question is answered with. */
export interface Answers {
  queryByResource: AuditLogEntry[];
  queryByActor: AuditLogEntry[];
  queryBySeverity: AuditLogEntry[];
  queryByAction: AuditLogEntry[];
  watchCritical: AuditLogEntry[];
  search: SearchData;
  getStats: AuditLogStats;
  detectAnomalies: Anomaly[];
}

export interface StreamsOptions {
  pauseAfterMs: number;
  lingerMs: number;
}

/** A question, ready to be asked. */
export interface Asked {
  readonly name: QuestionName;
  readonly args: unknown;
  readonly question: Question;
  readonly key: string;
}

/** What is known of what selects nothing. */
const NOTHING: LiveResult<AuditLogEntry[]> = { data: [], status: "live", error: undefined };

/** What is known before anything is. */
export const LOADING: LiveResult<never> = { data: undefined, status: "loading", error: undefined };

/** The streams of a page: one for each question, however many ask it. */
export class Streams {
  readonly transport: Transport;
  readonly #options: StreamsOptions;
  readonly #streams = new Map<string, Stream>();
  #hiding: unknown;
  #isHidden = false;

  constructor(transport: Transport, options: StreamsOptions) {
    this.transport = transport;
    this.#options = options;
  }

  /** What a question is known by. Whatever hook asks it, it is the same. */
  ask(name: QuestionName, args: unknown): Asked {
    const question = (questions[name] as (args: unknown) => Question)(args);
    // What is searched can be loaded further, which the same list elsewhere is not.
    const key = JSON.stringify([name === "search", question.path, question.query, question.body]);
    return { name, args, question, key };
  }

  /** The stream for a question, where somebody listens to one. */
  find({ key }: Asked): Stream | undefined {
    return this.#streams.get(key);
  }

  /**
   * The stream for a question: that of all who ask the same. Whoever gets it listens to it. Until it is answered, it
   * shows what is known of the question `before`.
   */
  stream({ name, args, question, key }: Asked, before?: Asked): Stream {
    let stream = this.#streams.get(key);
    if (!stream) {
      const forget = () => this.#forget(key);
      stream = new Stream(this.transport, name, args, question, this.#options.lingerMs, forget);
      if (this.#streams.size === 0) {
        this.#look();
      }
      this.#streams.set(key, stream);
      stream.setHidden(this.#isHidden);
    }
    const known = before && this.find(before);
    if (known) {
      stream.inherit(known.result());
    }
    return stream;
  }

  #forget(key: string): void {
    this.#streams.delete(key);
    if (this.#streams.size === 0 && typeof document !== "undefined") {
      document.removeEventListener("visibilitychange", this.#onVisibility);
      this.transport.environment.clearTimeout(this.#hiding);
    }
  }

  #look(): void {
    if (typeof document !== "undefined") {
      document.addEventListener("visibilitychange", this.#onVisibility);
      this.#isHidden = document.visibilityState === "hidden";
    }
  }

  readonly #onVisibility = () => {
    const { environment } = this.transport;
    environment.clearTimeout(this.#hiding);
    if (document.visibilityState === "hidden") {
      this.#hiding = environment.setTimeout(() => this.#setHidden(true), this.#options.pauseAfterMs);
    } else {
      this.#setHidden(false);
    }
  };

  #setHidden(isHidden: boolean): void {
    this.#isHidden = isHidden;
    this.#streams.forEach((stream) => stream.setHidden(isHidden));
  }
}

/** One question's live answer. */
export class Stream {
  readonly #transport: Transport;
  readonly #name: QuestionName;
  readonly #args: unknown;
  readonly #question: Question;
  readonly #lingerMs: number;
  readonly #forget: () => void;
  readonly #listeners = new Set<() => void>();
  #connection: Connection | undefined;
  #lingering: unknown;
  #isHidden = false;
  #result: LiveResult<unknown>;
  /** Whether this question itself has been answered. */
  #isAnswered = false;
  /** Which first page the loaded pages belong to. */
  #generation = 0;

  constructor(transport: Transport, name: QuestionName, args: unknown, question: Question, lingerMs: number, forget: () => void) {
    this.#transport = transport;
    this.#name = name;
    this.#args = args;
    this.#question = question;
    this.#lingerMs = lingerMs;
    this.#forget = forget;
    this.#result = question.isEmpty ? NOTHING : LOADING;
  }

  /** What is known: the same object until something changes. */
  readonly result = (): LiveResult<unknown> => this.#result;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    this.#transport.environment.clearTimeout(this.#lingering);
    if (!this.#connection && !this.#question.isEmpty) {
      this.#connection = this.#connect();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) {
        this.#lingering = this.#transport.environment.setTimeout(() => this.#end(), this.#lingerMs);
      }
    };
  };

  readonly retry = (): void => this.#connection?.again();

  setHidden(isHidden: boolean): void {
    this.#isHidden = isHidden;
    this.#connection?.setHidden(isHidden);
  }

  /** Shows what another stream knows until this one knows something itself. */
  inherit({ data }: LiveResult<unknown>): void {
    if (this.#result.data === undefined) {
      this.#set({ data });
    }
  }

  /** Loads the page behind those that are there. */
  readonly loadMore = async (): Promise<void> => {
    const shown = this.#result.data as SearchData | undefined;
    if (!this.#isAnswered || !shown?.hasMore || shown.cursor === null || shown.isLoadingMore) {
      return;
    }
    const generation = this.#generation;
    const isCurrent = () => generation === this.#generation;
    this.#set({ data: { ...shown, isLoadingMore: true }, error: undefined });
    try {
      const { path } = this.#question;
      const query = new URLSearchParams(this.#question.query);
      query.set("cursor", shown.cursor);
      const page = pageOf(await this.#transport.json({ method: "GET", path, query: query.toString() }));
      const now = this.#result.data as SearchData;
      if (isCurrent()) {
        const events = withEntries(now.events, page.items, MAX_SEARCH_EVENTS);
        const hasMore = page.hasMore && events.length < MAX_SEARCH_EVENTS;
        this.#set({ data: { events, cursor: page.cursor, hasMore, isLoadingMore: false } });
      }
    } catch (cause) {
      if (isCurrent()) {
        this.#set({ data: { ...(this.#result.data as SearchData), isLoadingMore: false }, error: asError(cause) });
      }
    }
  };

  #connect(): Connection {
    const connection = new Connection(this.#transport, this.#question, {
      resyncAfterMs: RESYNC_AFTER_MS,
      onFrames: (frames) => this.#take(frames),
      onPhase: (phase, error) => this.#set({ status: statusOf(phase, this.#isAnswered), error: phase === "open" ? undefined : error }),
    });
    connection.setHidden(this.#isHidden);
    connection.start();
    return connection;
  }

  #end(): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.#listeners.clear();
    this.#generation++;
    this.#forget();
  }

  #take(frames: Frame[]): void {
    let { data } = this.#result;
    // Events that came together are put in place together, for a list is sorted each time.
    let entries: AuditLogEntry[] = [];
    for (const frame of frames) {
      const told: unknown = JSON.parse(frame.data!);
      if (frame.event === "event") {
        entries.push(entryOf(told));
      } else {
        data = this.#answer(frame.event!, told);
        entries = [];
      }
    }
    if (entries.length > 0) {
      data = this.#withEntries(data, entries);
    }
    this.#isAnswered = true;
    this.#set({ data, status: "live", error: undefined });
  }

  /** A whole answer. It takes the place of whatever came before. */
  #answer(event: string, told: unknown): unknown {
    if (event === "stats") {
      return statsOf(told);
    }
    if (event === "findings") {
      return anomaliesOf(told, (this.#args as { patterns: AnomalyPattern[] }).patterns);
    }
    const { items, cursor, hasMore } = pageOf(told);
    this.#generation++;
    return this.#name === "search" ? { events: items, cursor, hasMore, isLoadingMore: false } : items;
  }

  #withEntries(data: unknown, entries: AuditLogEntry[]): unknown {
    if (this.#name === "search") {
      const shown = data as SearchData;
      return { ...shown, events: withEntries(shown.events, entries, MAX_SEARCH_EVENTS) };
    }
    const limit = Number(new URLSearchParams(this.#question.query).get("limit") ?? DEFAULT_LIMIT);
    return withEntries(data as AuditLogEntry[], entries, limit);
  }

  #set(change: Partial<LiveResult<unknown>>): void {
    const names = Object.keys(change) as (keyof LiveResult<unknown>)[];
    if (names.every((name) => this.#result[name] === change[name])) {
      return;
    }
    this.#result = { ...this.#result, ...change };
    this.#listeners.forEach((listener) => listener());
  }
}

function statusOf(phase: Phase, isAnswered: boolean): LiveStatus {
  switch (phase) {
    case "paused":
      return "paused";
    case "failed":
      return "failed";
    case "open":
      // What is shown is true again once the stream has told something, or is where it left off.
      return isAnswered ? "live" : "loading";
    default:
      return isAnswered ? "reconnecting" : "loading";
  }
}
