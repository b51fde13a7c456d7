import { SealogError } from "../error.js";
import { asError, within, type Key, type Transport } from "../transport.js";
import type { Question } from "../wire.js";
import { FrameParser, type Frame } from "./frames.js";
import { INITIAL, step, type LiveEffect, type LiveInput, type LiveSettings, type LiveState, type Phase } from "./state.js";

/** A server sends a comment every 15 seconds: when three are missing, the line is dead, in milliseconds. */
const SILENCE_MS = 45_000;

export interface ConnectionOptions {
  resyncAfterMs?: number;
  /** Where the stream begins: after this seq, without a first page. */
  afterSeq?: number | undefined;
  /** Gets the frames, as many as came at once. The stream waits for what it answers. */
  onFrames(frames: Frame[]): void | Promise<void>;
  onPhase?(phase: Phase, error: SealogError | undefined): void;
}

/** Does what the state machine wants: one stream, over as many requests as it takes. */
export class Connection {
  readonly #transport: Transport;
  readonly #question: Question;
  readonly #options: ConnectionOptions;
  readonly #settings: LiveSettings;
  #state: LiveState = INITIAL;
  #abort: AbortController | undefined;
  #timer: unknown;
  /** The key or token of the last request. */
  #key: Key | undefined;
  /** Ends when all that came was taken. */
  #telling: Promise<unknown> = Promise.resolve();

  constructor(transport: Transport, question: Question, options: ConnectionOptions) {
    this.#transport = transport;
    this.#question = question;
    this.#options = options;
    this.#settings = { isRenewable: transport.isRenewable, resyncAfterMs: options.resyncAfterMs };
    if (options.afterSeq !== undefined) {
      this.#state = { ...INITIAL, lastId: String(options.afterSeq) };
    }
  }

  start(): void {
    this.#take({ type: "start" });
  }

  /** Tries again what was given up. */
  again(): void {
    this.#take({ type: "again" });
  }

  setHidden(isHidden: boolean): void {
    this.#take({ type: isHidden ? "hidden" : "visible", now: this.#now() });
  }

  close(): void {
    this.#take({ type: "close" });
    this.#clearTimer();
  }

  #now(): number {
    return this.#transport.environment.now();
  }

  #random(): number {
    return this.#transport.environment.random();
  }

  /** Takes a step, and answers the frames that are to be told. */
  #take(input: LiveInput): Frame[] {
    const before = this.#state;
    const [state, effects] = step(before, input, this.#settings);
    this.#state = state;
    const frames: Frame[] = [];
    for (const effect of effects) {
      this.#do(effect, frames);
    }
    if (state.phase !== before.phase || state.error !== before.error) {
      this.#options.onPhase?.(state.phase, state.error);
    }
    return frames;
  }

  #do(effect: LiveEffect, frames: Frame[]): void {
    switch (effect.type) {
      case "tell":
        frames.push(effect.frame);
        break;
      case "connect":
        this.#clearTimer();
        if (effect.renew) {
          this.#transport.renew(this.#key);
        }
        void this.#connect(effect.run, effect.lastId);
        break;
      case "disconnect":
        this.#abort?.abort();
        this.#abort = undefined;
        break;
      case "wait":
        this.#clearTimer();
        this.#timer = this.#transport.environment.setTimeout(() => this.#take({ type: "waited", run: effect.run }), effect.ms);
        break;
    }
  }

  #clearTimer(): void {
    this.#transport.environment.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #connect(run: number, lastId: string | undefined): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const { path, query, body } = this.#question;
    let error: SealogError | undefined;
    let isUnreadable = false;
    const tell = (frames: Frame[]) =>
      this.#tell(frames).catch((cause: unknown) => {
        isUnreadable = true;
        throw new SealogError("bad_answer", "a frame could not be read", { retryable: true, cause });
      });
    this.#key = this.#transport.key();
    try {
      const { response } = await this.#transport.open({
        method: body === undefined ? "GET" : "POST",
        path,
        query,
        body,
        accept: "text/event-stream",
        headers: lastId === undefined ? {} : { "last-event-id": lastId },
        signal: abort.signal,
        key: this.#key,
      });
      const type = response.headers.get("content-type") ?? "";
      if (!type.startsWith("text/event-stream") || !response.body) {
        abort.abort();
        throw new SealogError("bad_answer", `the answer is ${type || "nothing"} and no stream`, { retryable: true });
      }
      this.#take({ type: "opened", run, now: this.#now() });
      await this.#read(run, response.body.getReader(), abort, tell);
    } catch (cause) {
      error = asError(cause, abort.signal);
    }
    this.#take({ type: "ended", run, now: this.#now(), random: this.#random(), isUnreadable, error });
  }

  /** Tells one thing after the other, also where another request has something to tell meanwhile. */
  #tell(frames: Frame[]): Promise<void> {
    const telling = this.#telling.then(() => {
      return frames.length === 0 || this.#state.phase === "closed" ? undefined : this.#options.onFrames(frames);
    });
    this.#telling = telling.catch(() => undefined);
    return telling;
  }

  async #read(
    run: number,
    reader: ReadableStreamDefaultReader<Uint8Array>,
    abort: AbortController,
    tell: (frames: Frame[]) => Promise<void>,
  ): Promise<void> {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const parser = new FrameParser();
    for (;;) {
      const { environment } = this.#transport;
      const { done, value } = await within(environment, SILENCE_MS, () => abort.abort(), () => reader.read());
      const frames = done ? [] : parser.push(decoder.decode(value, { stream: true }));
      let told: Frame[] = [];
      for (const frame of frames) {
        const input = { type: "frame", run, frame, now: this.#now(), random: this.#random() } as const;
        // What ends the request waits until what came before it was taken, or was found to be unreadable.
        if (step(this.#state, input, this.#settings)[0].run !== run) {
          await tell(told);
          told = [];
        }
        told.push(...this.#take(input));
      }
      await tell(told);
      if (done || abort.signal.aborted) {
        return;
      }
    }
  }
}
