import { problemError, SealogError } from "./error.js";
import { isObject } from "./json.js";
import { asError, backoffMs, isRefusal, pause, pauseMs, type RetryOptions, type Transport } from "./transport.js";
import type { Receipt } from "./types.js";

export interface BatchOptions {
  /** How many events one request takes at the most. */
  maxBatchEvents: number;
  /** How many bytes of events one request takes at the most, but always one event. */
  maxBatchBytes: number;
  /** How many events may wait for their acknowledgement. */
  maxBufferedEvents: number;
  /** How many bytes of events may wait. */
  maxBufferedBytes: number;
  retry: RetryOptions;
}

/** What is logged together or not at all: one event, or those of one `logBulk`. */
interface Item {
  events: string[];
  ids: string[];
  isBulk: boolean;
  bytes: number;
  attempts: number;
  resolve(receipts: Receipt[]): void;
  reject(error: SealogError): void;
  settled: Promise<unknown>;
}

type Outcome = Receipt[] | SealogError;

/**
 * Sends events in order, one request at a time: while one is on its way, the next ones gather. Nothing waits for a
 * timer. What fails in a way that may pass is sent again with the same ids, so it is there once.
 */
export class Batcher {
  readonly #transport: Transport;
  readonly #options: BatchOptions;
  readonly #end = new AbortController();
  #queue: Item[] = [];
  #events = 0;
  #bytes = 0;
  #isRunning = false;
  #isClosed = false;

  constructor(transport: Transport, options: BatchOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /** How many events wait for their acknowledgement. */
  get waiting(): number {
    return this.#events;
  }

  add(events: string[], ids: string[], isBulk: boolean): Promise<Receipt[]> {
    const { maxBufferedEvents, maxBufferedBytes } = this.#options;
    if (this.#isClosed) {
      return Promise.reject(new SealogError("client_closed", "this client was closed"));
    }
    const bytes = events.reduce((sum, event) => sum + utf8Bytes(event), 0);
    if (this.#events + events.length > maxBufferedEvents || this.#bytes + bytes > maxBufferedBytes) {
      const retryable = events.length <= maxBufferedEvents && bytes <= maxBufferedBytes;
      const text = `${this.#events} events wait for the server; with ${events.length} more it would be more than is buffered`;
      return Promise.reject(new SealogError("buffer_full", text, { retryable }));
    }
    let item!: Item;
    const promise = new Promise<Receipt[]>((resolve, reject) => {
      item = { events, ids, isBulk, bytes, attempts: 0, resolve, reject, settled: Promise.resolve() };
    });
    item.settled = promise.catch(() => undefined);
    this.#queue.push(item);
    this.#events += events.length;
    this.#bytes += bytes;
    if (!this.#isRunning) {
      this.#isRunning = true;
      // Those who log in the same turn go together.
      queueMicrotask(() => void this.#run());
    }
    return promise;
  }

  /** Waits until all that was added so far is acknowledged or has failed. */
  async flush(): Promise<void> {
    await Promise.all(this.#queue.map((item) => item.settled));
  }

  /** Takes nothing more, and gives up on what still waits after so many milliseconds. */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    const timer = this.#transport.environment.setTimeout(() => this.#end.abort(), timeoutMs);
    await this.flush();
    this.#transport.environment.clearTimeout(timer);
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#next();
      const outcomes = await this.#send(batch).catch((cause) => batch.map(() => asError(cause)));
      await this.#settle(batch, outcomes);
    }
    this.#isRunning = false;
  }

  /** What goes into the next request: a bulk by itself, or as many single events as there is room for. */
  #next(): Item[] {
    const { maxBatchEvents, maxBatchBytes } = this.#options;
    const batch: Item[] = [];
    let bytes = 0;
    for (const item of this.#queue) {
      const fits = !item.isBulk && batch.length < maxBatchEvents && bytes + item.bytes <= maxBatchBytes;
      if (batch.length > 0 && !fits) {
        break;
      }
      batch.push(item);
      bytes += item.bytes;
      if (item.isBulk) {
        break;
      }
    }
    return batch;
  }

  async #send(batch: Item[]): Promise<Outcome[]> {
    const [first] = batch;
    const { signal } = this.#end;
    if (first?.isBulk) {
      const body = `[${first.events.join(",")}]`;
      const answer = await this.#transport.json({ method: "POST", path: "/v1/events", body, signal });
      const receipts = isObject(answer) && Array.isArray(answer.receipts) ? (answer.receipts as unknown[]) : [];
      const read = first.ids.map((id, index) => receiptOf(receipts[index], id));
      return [read.find((outcome) => outcome instanceof SealogError) ?? (read as Receipt[])];
    }
    const { text } = await this.#transport.text({
      method: "POST",
      path: "/v1/events",
      body: `${batch.map((item) => item.events[0]).join("\n")}\n`,
      contentType: "application/x-ndjson",
      accept: "application/x-ndjson",
      signal,
    });
    return readLines(text, batch);
  }

  /** Tells what became of each, and waits where something is to be sent again. */
  async #settle(batch: Item[], outcomes: Outcome[]): Promise<void> {
    let waitMs = 0;
    batch.forEach((item, index) => {
      const outcome = outcomes[index]!;
      if (!(outcome instanceof SealogError)) {
        this.#remove(item);
        item.resolve(outcome);
        return;
      }
      item.attempts++;
      const canRenew = isRefusal(outcome) && this.#transport.isRenewable;
      const mayTry = (outcome.retryable || canRenew) && item.attempts < this.#options.retry.maxAttempts;
      if (this.#end.signal.aborted || !mayTry) {
        this.#remove(item);
        item.reject(this.#end.signal.aborted ? unsent(outcome) : outcome);
        return;
      }
      const { environment } = this.#transport;
      const backoff = canRenew && item.attempts === 1 ? 0 : backoffMs(item.attempts - 1, environment.random(), this.#options.retry);
      waitMs = Math.max(waitMs, pauseMs(outcome, backoff));
    });
    if (waitMs > 0) {
      await pause(this.#transport.environment, waitMs, this.#end.signal).catch(() => undefined);
    }
  }

  #remove(item: Item): void {
    this.#queue.splice(this.#queue.indexOf(item), 1);
    this.#events -= item.events.length;
    this.#bytes -= item.bytes;
  }
}

function unsent(cause: SealogError): SealogError {
  return new SealogError("client_closed", "the client was closed before the server acknowledged this", { cause });
}

/** Reads the lines of an answer: of each event that has none it is not known what became of it. */
function readLines(text: string, batch: Item[]): Outcome[] {
  const outcomes = new Map<number, Outcome>();
  let rest: SealogError = missing();
  for (const line of text.split("\n")) {
    let answer: unknown;
    try {
      answer = JSON.parse(line);
    } catch {
      // An empty line, or one that was cut off.
      continue;
    }
    if (!isObject(answer)) {
      continue;
    }
    const end = isObject(answer.end) ? answer.end : undefined;
    if (end && isObject(end.error)) {
      rest = problemError(Number(end.error.status), end.error);
    }
    const index = Number(answer.line) - 1;
    const item = batch[index];
    if (item) {
      const outcome = isObject(answer.error)
        ? problemError(Number(answer.error.status), answer.error)
        : receiptOf(answer, item.ids[0]!);
      outcomes.set(index, outcome instanceof SealogError ? outcome : [outcome]);
    }
  }
  // What ended the answer is wrong with the first event that has no line; those behind it may go again.
  const culprit = batch.findIndex((_, index) => !outcomes.has(index));
  return batch.map((_, index) => outcomes.get(index) ?? (index === culprit || rest.retryable ? rest : missing()));
}

function receiptOf(answer: unknown, id: string): Receipt | SealogError {
  if (!isObject(answer) || answer.id !== id) {
    return missing();
  }
  const { line: _, ...receipt } = answer;
  return receipt as unknown as Receipt;
}

function missing(): SealogError {
  return new SealogError("bad_answer", "the answer does not say what became of the event", { retryable: true });
}

/** How many bytes a text has in UTF-8. */
function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) {
      // Each half of a pair makes two of its four bytes.
      bytes += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1;
    }
  }
  return bytes;
}
