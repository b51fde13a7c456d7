// What a live stream does next, and nothing else: no clock, no network, no chance. SPEC.md says what holds of it.
import { SealogError } from "../error.js";
import { backoffMs, pauseMs } from "../transport.js";
import type { Frame } from "./frames.js";

export type Phase =
  /** Nobody has started it. */
  | "idle"
  /** A request is on its way. */
  | "connecting"
  /** Frames come. */
  | "open"
  /** The line broke; it comes again after a while. */
  | "waiting"
  /** The page is hidden. */
  | "paused"
  /** Coming again would not help. Somebody may ask for it by hand. */
  | "failed"
  /** It is over. */
  | "closed";

export interface LiveState {
  readonly phase: Phase;
  /** Which request is the current one: what others bring comes too late. */
  readonly run: number;
  /** The id of the last frame that has one: where the stream goes on. */
  readonly lastId: string | undefined;
  /** How often in a row it failed. */
  readonly failures: number;
  /** How often in a row the token was refused before it let the stream tell anything. */
  readonly refusals: number;
  /** Whether a token was renewed at once since the stream was well. */
  readonly isRenewed: boolean;
  /** When the current request was answered, and whether it has told anything since. */
  readonly openedAt: number;
  readonly hasTold: boolean;
  /** When it was paused. */
  readonly pausedAt: number;
  /** The first pause between two attempts, in milliseconds, as the server asks. */
  readonly retryMs: number;
  readonly isHidden: boolean;
  readonly error: SealogError | undefined;
}

export interface LiveSettings {
  /** Whether another token can be had. */
  readonly isRenewable: boolean;
  /** A stream that was paused for longer starts anew, in milliseconds; one that must not miss anything never does. */
  readonly resyncAfterMs: number | undefined;
}

/** Everything that happens to a stream. `run` says to which request it belongs. */
export type LiveInput =
  | { type: "start" }
  | { type: "opened"; run: number; now: number }
  | { type: "frame"; run: number; frame: Frame; now: number; random: number }
  /** `isUnreadable`: what came could not be taken, so it is not known what was told. */
  | { type: "ended"; run: number; now: number; random: number; error?: SealogError | undefined; isUnreadable?: boolean }
  | { type: "waited"; run: number }
  | { type: "hidden"; now: number }
  | { type: "visible"; now: number }
  | { type: "again" }
  | { type: "close" };

/** The ways to the network. Each has its guard. */
export type Way = "start" | "retry" | "renew" | "resume" | "again";

/** What the stream wants done. */
export type LiveEffect =
  | { type: "connect"; way: Way; run: number; lastId: string | undefined; renew: boolean }
  | { type: "disconnect"; run: number }
  | { type: "wait"; run: number; ms: number }
  | { type: "tell"; frame: Frame };

/** A stream that ends sooner has not been well, so its failures count on, in milliseconds. */
export const MIN_HEALTHY_MS = 5_000;
/** So often in a row a token may be refused before it is given up. */
export const MAX_REFUSALS = 3;
/** The shortest and the longest first pause that a server may ask for, and the longest pause, in milliseconds. */
export const MIN_RETRY_MS = 100;
export const MAX_RETRY_MS = 60_000;
export const MAX_BACKOFF_MS = 30_000;
const DEFAULT_RETRY_MS = 1_000;

export const INITIAL: LiveState = {
  phase: "idle",
  run: 0,
  lastId: undefined,
  failures: 0,
  refusals: 0,
  isRenewed: false,
  openedAt: 0,
  hasTold: false,
  pausedAt: 0,
  retryMs: DEFAULT_RETRY_MS,
  isHidden: false,
  error: undefined,
};

/** When a stream may go back to the network, by the way it goes. There is no other way. */
export const guards: Record<Way, (state: LiveState, settings: LiveSettings) => boolean> = {
  /** Somebody wants it for the first time, and somebody can see it. */
  start: (state) => state.phase === "idle" && !state.isHidden,
  /** The pause after a failure is over. */
  retry: (state) => state.phase === "waiting" && !state.isHidden,
  /** The token was refused or ended, another can be had, and none was renewed at once since the stream was well. */
  renew: (state, settings) => settings.isRenewable && !state.isRenewed && isLive(state) && !state.isHidden,
  /** The page is seen again. */
  resume: (state) => state.phase === "paused" && !state.isHidden,
  /** It was given up, and somebody asks for it by hand. */
  again: (state) => state.phase === "failed" && !state.isHidden,
};

type Step = readonly [LiveState, readonly LiveEffect[]];

/** One step. What does not fit the state changes nothing. */
export function step(state: LiveState, input: LiveInput, settings: LiveSettings): Step {
  if ("run" in input && input.run !== state.run) {
    return [state, []];
  }
  switch (input.type) {
    case "start":
      if (state.phase === "idle" && state.isHidden) {
        return [{ ...state, phase: "paused" }, []];
      }
      return toNetwork("start", state, settings);
    case "opened":
      return state.phase === "connecting" ? [{ ...state, phase: "open", openedAt: input.now, hasTold: false, error: undefined }, []] : [state, []];
    case "frame":
      return state.phase === "open" ? onFrame(state, input, settings) : [state, []];
    case "ended":
      return isLive(state) ? onEnd(state, input, settings) : [state, []];
    case "waited":
      // Whoever kept a token for that long needs another.
      return toNetwork("retry", state, settings, state.refusals > 0);
    case "hidden": {
      const hidden = { ...state, isHidden: true };
      if (!isLive(state) && state.phase !== "waiting") {
        return [hidden, []];
      }
      return [{ ...hidden, phase: "paused", pausedAt: input.now, run: state.run + 1 }, disconnects(state)];
    }
    case "visible": {
      const seen = { ...state, isHidden: false };
      const awayMs = input.now - state.pausedAt;
      const { resyncAfterMs = Infinity } = settings;
      const startsAnew = state.phase === "paused" && awayMs > resyncAfterMs;
      return toNetwork("resume", startsAnew ? { ...seen, lastId: undefined } : seen, settings);
    }
    case "again":
      return toNetwork("again", state, settings, true);
    case "close":
      return [{ ...state, phase: "closed", run: state.run + 1 }, disconnects(state)];
  }
}

function isLive(state: LiveState): boolean {
  return state.phase === "connecting" || state.phase === "open";
}

/** Ends the request that is running. */
function disconnects(state: LiveState): LiveEffect[] {
  return isLive(state) ? [{ type: "disconnect", run: state.run }] : [];
}

/** The only place that asks for a connection. */
function toNetwork(way: Way, state: LiveState, settings: LiveSettings, renew = false): Step {
  if (!guards[way](state, settings)) {
    return [state, []];
  }
  const run = state.run + 1;
  const next: LiveState = {
    ...state,
    phase: "connecting",
    run,
    ...(way === "again" && { failures: 0, refusals: 0, isRenewed: false }),
    ...(way === "renew" && { isRenewed: true }),
  };
  return [next, [{ type: "connect", way, run, lastId: state.lastId, renew: renew && settings.isRenewable }]];
}

function onFrame(state: LiveState, input: LiveInput & { type: "frame" }, settings: LiveSettings): Step {
  const { frame } = input;
  const asked = frame.retry;
  const next = asked === undefined ? state : { ...state, retryMs: Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, asked)) };
  switch (frame.event) {
    case "event":
    case "snapshot": {
      const id = frame.id === undefined || !/^-?[0-9]{1,19}$/.test(frame.id) ? undefined : BigInt(frame.id);
      if (id === undefined || frame.data === undefined) {
        const error = new SealogError("bad_answer", `a frame ${frame.event} without an id or data`, { retryable: true });
        return onEnd(next, { ...input, type: "ended", error }, settings);
      }
      // What was told before is not told again, whatever a server or a proxy repeats.
      if (frame.event === "event" && state.lastId !== undefined && id <= BigInt(state.lastId)) {
        return [next, []];
      }
      return [{ ...next, lastId: String(id), hasTold: true }, [{ type: "tell", frame }]];
    }
    case "stats":
    case "findings":
      return [{ ...next, hasTold: true }, [{ type: "tell", frame }]];
    case "stop":
    case "error":
      return onEnd(next, { ...input, type: "ended", error: lastWord(frame) }, settings);
    default:
      return [next, []];
  }
}

/** What a server says before it ends a stream. */
function lastWord(frame: Frame): SealogError {
  let told: { reason?: unknown; code?: unknown; detail?: unknown; status?: unknown } = {};
  try {
    told = (JSON.parse(frame.data ?? "{}") as typeof told | null) ?? {};
  } catch {
    // That it ends is all that is known then.
  }
  if (frame.event === "stop" && told.reason === "expired") {
    return new SealogError("unauthenticated", "the key or token is over", { status: 401 });
  }
  const status = Number(told.status ?? 503);
  return new SealogError(String(told.code ?? "stopping"), String(told.detail ?? "the server ended the stream"), {
    status,
    retryable: status >= 500 || status === 429,
  });
}

function onEnd(state: LiveState, input: LiveInput & { type: "ended" }, settings: LiveSettings): Step {
  const error = input.error ?? new SealogError("network", "the stream ended", { retryable: true });
  const wasLetIn = state.phase === "open" && state.hasTold;
  const wasWell = wasLetIn && input.now - state.openedAt >= MIN_HEALTHY_MS;
  const isRefused = error.status === 401;
  const startsAnew = input.isUnreadable && settings.resyncAfterMs !== undefined;
  const ended: LiveState = {
    ...state,
    lastId: startsAnew ? undefined : state.lastId,
    failures: wasWell ? 1 : state.failures + 1,
    // A token that ends after it let the stream in is no wrong one, however short it was.
    refusals: (wasLetIn ? 0 : state.refusals) + (isRefused ? 1 : 0),
    isRenewed: state.isRenewed && !wasWell,
    error,
  };
  // The request is over in any case, and what still comes of it is no longer wanted.
  const disconnect = disconnects(state);
  if (isRefused) {
    const [renewed, effects] = toNetwork("renew", ended, settings, true);
    if (effects.length > 0) {
      return [renewed, [...disconnect, ...effects]];
    }
  }
  const run = state.run + 1;
  const isHopeless = isRefused ? !settings.isRenewable || ended.refusals >= MAX_REFUSALS : !error.retryable;
  if (isHopeless) {
    return [{ ...ended, phase: "failed", run }, disconnect];
  }
  const backoff = backoffMs(ended.failures - 1, input.random, { baseMs: state.retryMs, maxMs: MAX_BACKOFF_MS });
  return [{ ...ended, phase: "waiting", run }, [...disconnect, { type: "wait", run, ms: pauseMs(error, backoff) }]];
}
