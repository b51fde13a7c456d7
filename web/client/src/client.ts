import { Batcher, type BatchOptions } from "./batcher.js";
import { SealogError } from "./error.js";
import { uuidv7 } from "./id.js";
import { isObject, toJson, type JsonObject } from "./json.js";
import { Connection } from "./live/connection.js";
import type { Frame } from "./live/frames.js";
import { Redactor, type Redactable, type RedactionOptions } from "./redact.js";
import { reportOf } from "./report.js";
import { configOf, settingsPatch } from "./settings.js";
import {
  environment,
  retrying,
  Transport,
  type Asked,
  type Credential,
  type Environment,
  type RetryOptions,
} from "./transport.js";
import type {
  Anomaly,
  AnomalyPattern,
  AuditEventInput,
  AuditLogConfig,
  AuditLogEntry,
  AuditLogStats,
  ChangeEventInput,
  CleanupOptions,
  ConfigOptions,
  ErasureArgs,
  ErasureReport,
  Hold,
  MintTokenArgs,
  PaginatedResult,
  PlaceHoldArgs,
  QueryByActionArgs,
  QueryByActorArgs,
  QueryByResourceArgs,
  QueryBySeverityArgs,
  Receipt,
  Report,
  ReportArgs,
  ReportFormat,
  SearchArgs,
  SearchFilters,
  StatsArgs,
  ViewToken,
  WatchCriticalArgs,
} from "./types.js";
import { anomaliesOf, bad, entryOf, filterBody, pageOf, queryString, questions, statsOf, type Question } from "./wire.js";

export interface AuditLogOptions extends RedactionOptions {
  /** Where the server is, such as `http://127.0.0.1:7341`. */
  url: string;
  /** An API key, or what brings one: it is asked again when the server no longer takes the one before. */
  apiKey?: Credential;
  /** Headers for each request. */
  headers?: Record<string, string>;
  /**
   * How long an answer may take, and how long it may pause, in milliseconds. Default: 30,000; a report has at least
   * five minutes, and `cleanup` and `erase` at least an hour, as far as `fetch` waits itself (that of Node.js: five
   * minutes).
   */
  timeoutMs?: number;
  /** How often what may pass is tried, and how long the pauses are. Default: 8 times, 200 ms up to 10 s. */
  retry?: Partial<RetryOptions>;
  /** What waits at once, and what goes in one request. */
  batch?: Partial<Omit<BatchOptions, "retry">>;
  /**
   * Whose clock says when an event happened that carries no timestamp: `client`, the one of this process when `log`
   * is called; or `server`, when it arrives. Default: `client`, so that waiting for a server does not move events.
   */
  timestamps?: "client" | "server";
  /** The network, the clock and chance, for tests. */
  environment?: Partial<Environment>;
}

export interface WatchOptions {
  /** Goes on after this seq, without a gap; from now on unless given. */
  afterSeq?: number;
  signal?: AbortSignal;
}

/** So long an answer may take, in milliseconds. The server's own limit for a question is the same. */
const TIMEOUT_MS = 30_000;
const RETRY: RetryOptions = { maxAttempts: 8, baseMs: 200, maxMs: 10_000 };
/** For what would be done twice if it were asked for twice: whoever asks looks whether it is done. */
const ONCE: RetryOptions = { ...RETRY, maxAttempts: 1 };
/** How long a report may take to begin, in milliseconds. */
const REPORT_MS = 5 * 60_000;
/** How a clean-up or an erasure is asked for: it may take an hour. */
const UPKEEP: Manner = { retry: ONCE, patienceMs: 60 * 60_000 };
/** The server logs up to a thousand lines, or a mebibyte of them, in one transaction. */
const BATCH = {
  maxBatchEvents: 1_000,
  maxBatchBytes: 1024 * 1024,
  maxBufferedEvents: 10_000,
  maxBufferedBytes: 32 * 1024 * 1024,
};
/** How something is asked, where not like a question. */
interface Manner extends Pick<Asked, "patienceMs"> {
  retry?: RetryOptions;
}

/** How long `close` waits for what is on its way, in milliseconds. */
const CLOSE_TIMEOUT_MS = 10_000;

/**
 * A log on a server, for programs that hold an API key.
 *
 * ```ts
 * const log = new AuditLog({ url: "http://127.0.0.1:7341", apiKey: process.env.SEALOG_API_KEY });
 * await log.log({ action: AuditActions.USER_LOGIN, actorId: "ada" });
 * ```
 */
export class AuditLog {
  readonly #transport: Transport;
  readonly #batcher: Batcher;
  readonly #redactor: Redactor;
  readonly #retry: RetryOptions;
  readonly #environment: Environment;
  readonly #stampsHere: boolean;

  constructor(options: AuditLogOptions) {
    const { url, apiKey, headers, timeoutMs = TIMEOUT_MS, timestamps = "client" } = options;
    this.#environment = environment(options.environment);
    this.#retry = { ...RETRY, ...options.retry };
    this.#transport = new Transport({
      url,
      timeoutMs,
      environment: this.#environment,
      credential: apiKey,
      headers,
    });
    this.#batcher = new Batcher(this.#transport, { ...BATCH, ...options.batch, retry: this.#retry });
    this.#redactor = new Redactor(options);
    this.#stampsHere = timestamps === "client";
  }

  /**
   * Logs an event, and answers its id once it is durable, sealed and visible. What fails in a way that may pass is
   * sent again, under the same id, so it is in the log once.
   */
  async log(event: AuditEventInput): Promise<string> {
    return (await this.logWithReceipt(event)).id;
  }

  /** Logs a change of a resource. The log makes the diff of both states. */
  async logChange(change: ChangeEventInput): Promise<string> {
    return (await this.logWithReceipt(change)).id;
  }

  /** Logs events together or not at all, and answers their ids. */
  async logBulk(events: readonly (AuditEventInput | ChangeEventInput)[]): Promise<string[]> {
    return (await this.logBulkWithReceipts(events)).map(({ id }) => id);
  }

  /** The same, and answers the receipts. */
  async logBulkWithReceipts(events: readonly (AuditEventInput | ChangeEventInput)[]): Promise<Receipt[]> {
    if (events.length === 0) {
      return [];
    }
    const prepared = events.map((event) => this.#prepare(event));
    return this.#batcher.add(prepared.map(({ json }) => json), prepared.map(({ id }) => id), true);
  }

  /** The same as `log` or `logChange`, and answers the receipt: the event's place in the log, and the tree's size. */
  async logWithReceipt(event: AuditEventInput | ChangeEventInput): Promise<Receipt> {
    const { json, id } = this.#prepare(event);
    const [receipt] = await this.#batcher.add([json], [id], false);
    return receipt!;
  }

  /** How many events wait for the server's acknowledgement. */
  get pendingCount(): number {
    return this.#batcher.waiting;
  }

  /** Waits until all that was logged so far is acknowledged or has failed. */
  flush(): Promise<void> {
    return this.#batcher.flush();
  }

  /** Waits as `flush` does, for so long at the most, and takes nothing more. What was not acknowledged is an error. */
  close({ timeoutMs = CLOSE_TIMEOUT_MS }: { timeoutMs?: number } = {}): Promise<void> {
    return this.#batcher.close(timeoutMs);
  }

  /** What happened to a resource, the newest first. */
  async queryByResource(args: QueryByResourceArgs): Promise<AuditLogEntry[]> {
    return (await this.#page(questions.queryByResource(args))).items;
  }

  /** What an actor did, the newest first. */
  async queryByActor(args: QueryByActorArgs): Promise<AuditLogEntry[]> {
    return (await this.#page(questions.queryByActor(args))).items;
  }

  async queryBySeverity(args: QueryBySeverityArgs): Promise<AuditLogEntry[]> {
    return (await this.#page(questions.queryBySeverity(args))).items;
  }

  async queryByAction(args: QueryByActionArgs): Promise<AuditLogEntry[]> {
    return (await this.#page(questions.queryByAction(args))).items;
  }

  /** The newest events that matter most; `watch` tells them as they come. */
  async watchCritical(args: WatchCriticalArgs = {}): Promise<AuditLogEntry[]> {
    return (await this.#page(questions.watchCritical(args))).items;
  }

  /** A page of events. Pages neither shift nor repeat while events arrive. */
  async search(args: SearchArgs = {}): Promise<PaginatedResult<AuditLogEntry>> {
    return this.#page(questions.search(args));
  }

  /** One event, or `null` where there is none, or none that this key may see. */
  async get(id: string): Promise<AuditLogEntry | null> {
    try {
      return entryOf(await this.#json({ path: `/v1/events/${encodeURIComponent(id)}`, query: "" }));
    } catch (error) {
      if (error instanceof SealogError && error.code === "not_found") {
        return null;
      }
      throw error;
    }
  }

  /**
   * Tells each event as it comes: once, in order, without a gap, for as long as it is listened to, whatever becomes
   * of the server meanwhile. Ends with the signal, and throws where coming again would not help.
   */
  async *watch(filters: SearchFilters = {}, { afterSeq, signal }: WatchOptions = {}): AsyncGenerator<AuditLogEntry, void, void> {
    let told: Frame[] = [];
    let failure: unknown;
    let wake = () => {};
    let drained = () => {};
    const connection = new Connection(
      this.#transport,
      // The first page is not told: it is asked for where it begins.
      { path: "/v1/events", query: queryString({ ...filters, limit: afterSeq === undefined ? 1 : undefined }) },
      {
        afterSeq,
        onFrames: (frames) => {
          told = frames.filter((frame) => frame.event === "event");
          wake();
          // The stream goes no further before they are taken.
          return told.length === 0 ? undefined : new Promise<void>((resolve) => (drained = resolve));
        },
        onPhase: (phase, error) => {
          if (phase === "failed") {
            failure = error;
            wake();
          }
        },
      },
    );
    const onAbort = () => wake();
    signal?.addEventListener("abort", onAbort);
    try {
      if (!signal?.aborted) {
        connection.start();
      }
      while (!signal?.aborted) {
        const frame = told.shift();
        if (frame) {
          yield entryIn(frame);
        } else if (failure) {
          throw failure;
        } else {
          drained();
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      connection.close();
      drained();
    }
  }

  /** How many events there are, by severity and over time, and who and what is most frequent. Exact at every size. */
  async getStats(args: StatsArgs = {}): Promise<AuditLogStats> {
    return statsOf(await this.#json(questions.getStats(args)));
  }

  /** Which patterns are met now. */
  async detectAnomalies(patterns: readonly AnomalyPattern[]): Promise<Anomaly[]> {
    return anomaliesOf(await this.#json(questions.detectAnomalies({ patterns })), patterns);
  }

  /** Everything that is selected, as one text. It is an event of the log itself, so it is asked for once. */
  async generateReport<Format extends ReportFormat>(args: ReportArgs<Format>): Promise<Report<Format>> {
    const { text } = await this.#retrying(() => this.#transport.text(this.#report(args)), ONCE);
    return reportOf(args.format, text, this.#environment.now());
  }

  /** The same for what is too long for one text: the body as it comes. */
  streamReport(args: ReportArgs, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    return this.#retrying(() => this.#transport.bytes({ ...this.#report(args), signal }), ONCE);
  }

  /** What shows that an event is in the log: a file that `verifyProof` checks, and any other program. */
  async getProof(id: string): Promise<string> {
    const path = `/v1/events/${encodeURIComponent(id)}/proof`;
    const { text } = await this.#retrying(() => this.#transport.text({ method: "GET", path }));
    return text;
  }

  /** A token with which a browser sees what the scope selects, and nothing else, for a short time. */
  mintToken({ scope, ...rest }: MintTokenArgs): Promise<ViewToken> {
    return this.#told("POST", "/v1/tokens", "token", { scope: filterBody(scope), ...rest });
  }

  /**
   * Removes what was kept long enough, and answers how many events went. What a hold selects stays. It is asked for
   * once, and may take an hour: when the connection breaks, what was removed until then is gone, and another call
   * removes the rest.
   */
  async cleanup(options: CleanupOptions = {}): Promise<number> {
    return (await this.#told<{ removed: number }>("POST", "/v1/cleanup", "removed", options, UPKEEP)).removed;
  }

  /** How the log keeps and hides. */
  async getConfig(): Promise<AuditLogConfig> {
    return configOf(await this.#told("GET", "/v1/settings", "customRetention"));
  }

  /** Changes what is named, for all who use the log, and answers how it is then. It is an event of the log. */
  async updateConfig(options: ConfigOptions): Promise<AuditLogConfig> {
    const hasNames = options.piiFieldsToRedact?.some((field) => typeof field === "string");
    const known = hasNames ? (await this.getConfig()).settings : undefined;
    return configOf(await this.#told("PATCH", "/v1/settings", "customRetention", settingsPatch(options, known)));
  }

  /** Keeps from every clean-up what the filter selects, until the hold is lifted. */
  placeHold({ filter, ...rest }: PlaceHoldArgs): Promise<Hold> {
    return this.#told("POST", "/v1/holds", "id", { ...rest, filter: filterBody(filter) }, { retry: ONCE });
  }

  /** The holds that are in force, the oldest first. */
  async listHolds(): Promise<Hold[]> {
    return (await this.#told<{ holds: Hold[] }>("GET", "/v1/holds", "holds")).holds;
  }

  liftHold(id: string, reason: string): Promise<Hold> {
    return this.#told("POST", `/v1/holds/${encodeURIComponent(id)}/lift`, "id", { reason }, { retry: ONCE });
  }

  /**
   * Erases an actor's or a resource's data. Proofs that were made before stay valid. It is asked for once, and may take
   * an hour.
   */
  erase(args: ErasureArgs): Promise<ErasureReport> {
    return this.#told("POST", "/v1/erasures", "removed", args, UPKEEP);
  }

  #prepare(input: AuditEventInput | ChangeEventInput): { json: string; id: string } {
    if (!isObject(input)) {
      throw new SealogError("invalid_argument", "an event is an object");
    }
    const { generateDiff: _, ...given } = input;
    const event = toJson(given, "the event") as JsonObject;
    if (event.metadata === null) {
      delete event.metadata;
    } else if (event.metadata !== undefined && !isObject(event.metadata)) {
      event.metadata = { value: event.metadata };
    }
    const now = this.#environment.now();
    event.id ??= uuidv7(now);
    if (this.#stampsHere) {
      event.timestamp ??= now;
    }
    this.#redactor.redact(event as Redactable);
    return { json: JSON.stringify(event), id: String(event.id) };
  }

  async #page(question: Question): Promise<PaginatedResult<AuditLogEntry>> {
    if (question.isEmpty) {
      return { items: [], cursor: null, hasMore: false };
    }
    return pageOf(await this.#json(question));
  }

  #json({ path, query, body }: Question): Promise<unknown> {
    return this.#retrying(() => this.#transport.json({ method: body === undefined ? "GET" : "POST", path, query, body }));
  }

  /** Asks for an object, which has at least the member that is named. */
  async #told<T>(method: string, path: string, member: string, body?: unknown, { retry, ...manner }: Manner = {}): Promise<T> {
    const asked = { method, path, body: body === undefined ? body : JSON.stringify(body), ...manner };
    const answer = await this.#retrying(() => this.#transport.json(asked), retry);
    if (!isObject(answer) || !(member in answer)) {
      throw bad(`no ${member}`);
    }
    return answer as T;
  }

  #retrying<T>(ask: () => Promise<T>, retry = this.#retry): Promise<T> {
    return retrying(this.#transport, retry, ask);
  }

  #report({ startDate, endDate, format, includeFields, groupBy, filters, requestedBy }: ReportArgs): Asked {
    const body = JSON.stringify({
      format,
      range: { from: startDate, to: endDate },
      filter: filters && filterBody(filters),
      fields: includeFields ?? [],
      groupBy: groupBy === undefined ? [] : [groupBy].flat(),
      requestedBy,
    });
    return { method: "POST", path: "/v1/reports", body, patienceMs: REPORT_MS };
  }
}

function entryIn({ data }: Frame): AuditLogEntry {
  let record: unknown;
  try {
    record = JSON.parse(data!);
  } catch {
    // That it is no event is said of whatever is none.
  }
  return entryOf(record);
}
