import { problemError, SealogError } from "./error.js";

/** A key or token, or what brings one: asked again when the server no longer takes it. */
export type Credential = string | (() => string | Promise<string>);

/** What is outside: the network, the clock and chance. Given by tests. */
export interface Environment {
  fetch: typeof fetch;
  now(): number;
  /** From 0 up to 1. */
  random(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export function environment(given: Partial<Environment> = {}): Environment {
  return {
    // Called by its name each time, since browsers want it called on the window, and tests replace it.
    fetch: (...args) => fetch(...args),
    now: () => Date.now(),
    random: () => Math.random(),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer as never),
    ...given,
  };
}

export interface TransportOptions {
  /** Where the server is: `https://audit.example.com`, or where the application has mounted it. */
  url: string;
  credential?: Credential | undefined;
  /** Headers for each request, such as an application's own for its sessions. */
  headers?: Record<string, string> | undefined;
  /** Whether cookies go along, where the application has mounted the router behind its own sessions. */
  credentials?: RequestCredentials | undefined;
  /** How long an answer may take, and how long it may pause, in milliseconds. */
  timeoutMs: number;
  environment: Environment;
}

export interface Asked {
  method: string;
  path: string;
  query?: string;
  body?: string | undefined;
  contentType?: string;
  accept?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** So long this answer may take and pause, in milliseconds, also where others may not. */
  patienceMs?: number | undefined;
  /** What `key` answered, for those who will have to say which one is over. */
  key?: Key | undefined;
}

/** A key or token, which may still be on its way. */
export type Key = Promise<string>;

/**
 * The largest answer that is read as a whole, in characters: a report of half a million rows and more. A text of twice
 * as many is more than V8 has room for.
 */
const MAX_ANSWER_CHARS = 1 << 28;
/** So long a server may ask to wait, in milliseconds. */
const MAX_RETRY_AFTER_MS = 60_000;

/** How a server is asked once. Whoever asks decides about asking again. */
export class Transport {
  readonly environment: Environment;
  readonly #options: TransportOptions;
  readonly #base: string;
  #key: Key | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.environment = options.environment;
    this.#base = options.url.replace(/\/+$/, "");
  }

  /** Whether another key or token can be had when this one is refused. */
  get isRenewable(): boolean {
    return typeof this.#options.credential === "function";
  }

  /** The key or token for the next request. Those who ask while it is being fetched get the same one. */
  key(): Key | undefined {
    const { credential } = this.#options;
    if (credential === undefined || this.#key) {
      return this.#key;
    }
    // A callback that never answers would be waited for by all.
    const fetched = async () => (typeof credential === "string" ? credential : credential());
    const key = within(this.environment, this.#options.timeoutMs, () => {}, fetched);
    // One that could not be had is asked for again.
    key.catch(() => this.renew(key));
    return (this.#key = key);
  }

  /**
   * Forgets a key or token, so that the next request asks for another; the one there is, unless it is said which. When
   * another has come since, that one stays: of many who are refused together, the first has it renewed for all.
   */
  renew(used = this.#key): void {
    if (this.#key === used) {
      this.#key = undefined;
    }
  }

  /** Asks, and answers the response once its head is there and well. Whoever gets it reads its body. */
  async open(asked: Asked): Promise<{ response: Response; abort: (reason: unknown) => void }> {
    const abort = new AbortController();
    const { signal } = asked;
    if (signal?.aborted) {
      throw aborted(signal);
    }
    const onAbort = () => abort.abort(signal ? aborted(signal) : undefined);
    signal?.addEventListener("abort", onAbort, { once: true });
    const stop = () => signal?.removeEventListener("abort", onAbort);
    const key = asked.key ?? this.key();
    // A stand-in for fetch may not look at the signal.
    const ended = new Promise<never>((_, reject) => {
      abort.signal.addEventListener("abort", () => reject(abort.signal.reason), { once: true });
    });
    const ask = async () => {
      const headers = await this.#headers(asked, key);
      const url = `${this.#base}${asked.path}${asked.query ? `?${asked.query}` : ""}`;
      return this.environment.fetch(url, {
        method: asked.method,
        headers,
        signal: abort.signal,
        body: asked.body ?? null,
        ...(this.#options.credentials ? { credentials: this.#options.credentials } : {}),
      });
    };
    try {
      const ms = this.#timeoutMs(asked);
      const response = await within(this.environment, ms, (late) => abort.abort(late), () => Promise.race([ask(), ended]));
      if (!response.ok) {
        const error = await this.#refusal(response, abort);
        if (isRefusal(error)) {
          this.renew(key);
        }
        throw error;
      }
      return { response, abort: (reason) => (stop(), abort.abort(reason)) };
    } catch (cause) {
      stop();
      throw asError(cause, abort.signal);
    }
  }

  /** Asks for text. */
  async text(asked: Asked): Promise<{ text: string; response: Response }> {
    const { response, abort } = await this.open(asked);
    try {
      return { text: await this.#read(response, abort, this.#timeoutMs(asked)), response };
    } catch (cause) {
      throw asError(cause);
    } finally {
      // Lets go of the caller's signal; the body is at its end, or not wanted.
      abort(undefined);
    }
  }

  /** Asks for bytes, and answers them as they come. The caller's signal is let go of when they end. */
  async bytes(asked: Asked): Promise<ReadableStream<Uint8Array>> {
    const { response, abort } = await this.open(asked);
    const reader = response.body?.getReader();
    if (!reader) {
      abort(undefined);
      throw new SealogError("bad_answer", "the answer has no body");
    }
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            const { done, value } = await within(this.environment, this.#timeoutMs(asked), abort, () => reader.read());
            if (done) {
              abort(undefined);
              controller.close();
            } else {
              controller.enqueue(value);
            }
          } catch (cause) {
            abort(undefined);
            throw asError(cause);
          }
        },
        cancel: abort,
      },
      { highWaterMark: 0 },
    );
  }

  /** Asks for JSON. */
  async json(asked: Asked): Promise<unknown> {
    const { text, response } = await this.text({ accept: "application/json", ...asked });
    try {
      return JSON.parse(text);
    } catch (cause) {
      const { status } = response;
      throw new SealogError("bad_answer", "the answer is no JSON", { status, retryable: true, cause });
    }
  }

  #timeoutMs({ patienceMs = 0 }: Asked): number {
    return Math.max(this.#options.timeoutMs, patienceMs);
  }

  async #headers(asked: Asked, key: Key | undefined): Promise<Record<string, string>> {
    const headers: Record<string, string> = { ...this.#options.headers, ...asked.headers };
    if (asked.accept) {
      headers.accept = asked.accept;
    }
    if (asked.body !== undefined) {
      headers["content-type"] = asked.contentType ?? "application/json";
    }
    if (key) {
      try {
        headers.authorization = `Bearer ${await key}`;
      } catch (cause) {
        throw new SealogError("unauthenticated", "no key or token could be had", { retryable: true, cause });
      }
    }
    return headers;
  }

  async #refusal(response: Response, abort: AbortController): Promise<SealogError> {
    const after = Number(response.headers.get("retry-after") ?? Number.NaN);
    const retryAfterMs = Number.isFinite(after) ? Math.max(0, after * 1000) : undefined;
    let body: unknown;
    try {
      body = JSON.parse(await this.#read(response, (reason) => abort.abort(reason), this.#options.timeoutMs));
    } catch {
      // What is no JSON is no problem of the server's: the status alone tells.
    }
    return problemError(response.status, body, retryAfterMs);
  }

  async #read(response: Response, abort: (reason: unknown) => void, pauseMs: number): Promise<string> {
    const reader = response.body?.getReader();
    if (!reader) {
      return "";
    }
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { done, value } = await within(this.environment, pauseMs, abort, () => reader.read());
      if (done) {
        return text + decoder.decode();
      }
      text += decoder.decode(value, { stream: true });
      if (text.length > MAX_ANSWER_CHARS) {
        const error = new SealogError("bad_answer", "the answer is too long to be read as a whole");
        abort(error);
        throw error;
      }
    }
  }
}

/** Waits for what may not take longer than so many milliseconds. When it does, it is aborted. */
export async function within<T>(
  environment: Environment,
  ms: number,
  abort: (late: SealogError) => void,
  run: () => Promise<T>,
): Promise<T> {
  let onLate!: () => void;
  const silence = new Promise<never>((_, reject) => {
    onLate = () => {
      const late = new SealogError("timeout", `nothing came within ${ms} ms`, { retryable: true });
      reject(late);
      abort(late);
    };
  });
  const timer = environment.setTimeout(onLate, ms);
  try {
    return await Promise.race([run(), silence]);
  } finally {
    environment.clearTimeout(timer);
  }
}

function aborted(signal: AbortSignal): SealogError {
  return new SealogError("aborted", "the caller ended it", { cause: signal.reason });
}

/** What went wrong, as an error of ours. */
export function asError(cause: unknown, signal?: AbortSignal): SealogError {
  if (cause instanceof SealogError) {
    return cause;
  }
  if (signal?.aborted && signal.reason instanceof SealogError) {
    return signal.reason;
  }
  return new SealogError("network", "the server could not be reached, or the connection broke", { retryable: true, cause });
}

/** How often and how fast something is tried again. */
export interface RetryOptions {
  /** How often it is tried at the most, the first time included. */
  maxAttempts: number;
  /** The first pause, in milliseconds; each one after it is up to twice as long. */
  baseMs: number;
  /** The longest pause, in milliseconds. */
  maxMs: number;
}

/** The pause before the next attempt: from half of it up to all of it by chance, so that many do not come at once. */
export function backoffMs(failures: number, random: number, { baseMs, maxMs }: Pick<RetryOptions, "baseMs" | "maxMs">): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(failures, 30)) * (0.5 + random / 2);
}

/** How long to wait after a failure: as long as the server asks, of which a minute is believed. */
export function pauseMs(error: SealogError, backoff: number): number {
  return Math.max(backoff, Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS));
}

/** Waits; ends early, with the signal's reason, when the signal does. */
export function pause(environment: Environment, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted(signal));
      return;
    }
    const onAbort = () => {
      environment.clearTimeout(timer);
      reject(aborted(signal!));
    };
    const timer = environment.setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Asks until it is answered, gives up, or another answer cannot be hoped for. */
export async function retrying<T>(
  transport: Transport,
  retry: RetryOptions,
  ask: () => Promise<T>,
): Promise<T> {
  let renewed = false;
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (cause) {
      const error = asError(cause);
      if (isRefusal(error) && transport.isRenewable && !renewed) {
        renewed = true;
        continue;
      }
      // What took the server too long would take as long again.
      if (!error.retryable || error.code === "timed_out" || attempt >= retry.maxAttempts) {
        throw error;
      }
      const ms = backoffMs(attempt - 1, transport.environment.random(), retry);
      await pause(transport.environment, pauseMs(error, ms));
    }
  }
}

/** Whether the key or token was not taken. */
export function isRefusal(error: SealogError): boolean {
  return error.status === 401;
}

