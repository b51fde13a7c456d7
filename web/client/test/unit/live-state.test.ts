// The invariants of SPEC.md, each by its number, over histories that nobody would think of.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SealogError } from "../../src/error.js";
import { Connection } from "../../src/live/connection.js";
import type { Frame } from "../../src/live/frames.js";
import {
  guards,
  INITIAL,
  MAX_BACKOFF_MS,
  MAX_REFUSALS,
  MAX_RETRY_MS,
  MIN_HEALTHY_MS,
  MIN_RETRY_MS,
  step,
  type LiveEffect,
  type LiveInput,
  type LiveSettings,
  type LiveState,
} from "../../src/live/state.js";
import { Transport } from "../../src/transport.js";
import { VirtualTime } from "../fake.js";
import { frameText, saying } from "../streams.js";

/** An input without what the driver adds: which request it belongs to, and when. */
type Happening =
  | { type: "start" | "opened" | "waited" | "hidden" | "visible" | "again" | "close" }
  | { type: "frame"; frame: Frame }
  | { type: "ended"; status: number | undefined; isUnreadable: boolean }
  /** What an earlier request still brings. */
  | { type: "stale"; frame: Frame };

const seq = fc.integer({ min: -1, max: 30 });
const frame: fc.Arbitrary<Frame> = fc.oneof(
  { weight: 6, arbitrary: seq.map((id) => ({ event: "event", id: String(id), data: "{}" })) },
  { weight: 2, arbitrary: seq.map((id) => ({ event: "snapshot", id: String(id), data: "{}" })) },
  fc.constantFrom<Frame>(
    { event: "stats", data: "{}" },
    { event: "stop", data: '{"reason":"shutdown"}' },
    { event: "stop", data: '{"reason":"expired"}' },
    { event: "error", data: '{"status":503,"code":"closed"}' },
    { event: "error", data: '{"status":400,"code":"invalid_argument"}' },
    { event: "stop", data: "null" },
    { event: "event", data: "{}" },
    { event: "event", id: "x", data: "{}" },
    { event: "unheard of", data: "{}" },
    { retry: 0 },
    { retry: 10_000_000 },
  ),
);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 30, arbitrary: fc.constant({ type: "opened" } as const) },
  { weight: 60, arbitrary: frame.map((frame) => ({ type: "frame", frame }) as const) },
  {
    weight: 30,
    arbitrary: fc
      .tuple(fc.constantFrom(undefined, 401, 401, 403, 429, 500, 503), fc.boolean())
      .map(([status, isUnreadable]) => ({ type: "ended", status, isUnreadable }) as const),
  },
  { weight: 30, arbitrary: fc.constant({ type: "waited" } as const) },
  { weight: 8, arbitrary: frame.map((frame) => ({ type: "stale", frame }) as const) },
  { weight: 30, arbitrary: fc.constantFrom("start" as const, "hidden" as const, "visible" as const, "visible" as const, "again" as const).map((type) => ({ type })) },
  { weight: 1, arbitrary: fc.constant({ type: "close" } as const) },
);
const history = fc.array(fc.tuple(happening, fc.integer({ min: 0, max: 2 * MIN_HEALTHY_MS })), { maxLength: 120 });
const settings: fc.Arbitrary<LiveSettings> = fc.record({
  isRenewable: fc.boolean(),
  resyncAfterMs: fc.constantFrom(undefined, 8_000),
});

interface Seen {
  before: LiveState;
  after: LiveState;
  input: LiveInput;
  effects: readonly LiveEffect[];
  now: number;
}

/** Runs a history, as the driver would, and answers each step. */
function run(history: [Happening, number][], settings: LiveSettings): Seen[] {
  const seen: Seen[] = [];
  let state = step(INITIAL, { type: "start" }, settings)[0];
  let now = 1_000_000;
  for (const [what, ms] of history) {
    now += ms;
    const common = { run: state.run, now, random: (ms % 100) / 100 };
    let input: LiveInput;
    if (what.type === "frame") {
      input = { type: "frame", frame: what.frame, ...common };
    } else if (what.type === "stale") {
      input = { type: "frame", frame: what.frame, ...common, run: state.run - 1 };
    } else if (what.type === "ended") {
      const error = what.status === undefined ? undefined : new SealogError("x", "x", { status: what.status, retryable: what.status === 429 || what.status >= 500 });
      input = { type: "ended", isUnreadable: what.isUnreadable, ...common, ...(error ? { error } : {}) };
    } else {
      input = { ...common, type: what.type } as LiveInput;
      if (what.type === "start" || what.type === "again" || what.type === "close" || what.type === "hidden" || what.type === "visible") {
        delete (input as { run?: number }).run;
      }
    }
    const [after, effects] = step(state, input, settings);
    seen.push({ before: state, after, input, effects, now });
    state = after;
  }
  return seen;
}

function holds(check: (seen: Seen[], settings: LiveSettings) => void): void {
  fc.assert(
    fc.property(history, settings, (history, settings) => check(run(history, settings), settings)),
    { numRuns: 1_000 },
  );
}

/** Whether a stream that ends now was well. */
const wasWell = (state: LiveState, now: number) => state.phase === "open" && state.hasTold && now - state.openedAt >= MIN_HEALTHY_MS;

const connects = (effects: readonly LiveEffect[]) => effects.filter((effect) => effect.type === "connect");

describe("live stream", () => {
  test("invariant 1: there is one request at a time", () => {
    holds((seen) => {
      let isRunning = true;
      for (const { effects } of seen) {
        for (const effect of effects) {
          if (effect.type === "disconnect") {
            isRunning = false;
          } else if (effect.type === "connect") {
            expect(isRunning).toBe(false);
            isRunning = true;
          }
        }
      }
    });
  });

  test("invariant 2: only a way whose guard lets it through leads to the network", () => {
    holds((seen, settings) => {
      for (const { before, after, input, effects, now } of seen) {
        for (const effect of connects(effects)) {
          expect(after.phase).toBe("connecting");
          expect(effect.run).toBe(after.run);
          // The state that the guard saw: as before, but for what the input itself tells.
          const told: LiveState = {
            ...before,
            ...(input.type === "visible" ? { isHidden: false } : {}),
            ...(effect.way === "renew" && wasWell(before, now) ? { isRenewed: false } : {}),
          };
          expect(guards[effect.way](told, settings), effect.way).toBe(true);
        }
      }
    });
  });

  test("invariant 3: nothing leads to the network while the page is hidden, or once the stream is closed", () => {
    holds((seen) => {
      for (const { before, after, effects } of seen) {
        if (after.isHidden || before.phase === "closed") {
          expect(connects(effects)).toEqual([]);
        }
        if (before.phase === "closed") {
          expect(after.phase).toBe("closed");
        }
      }
    });
  });

  test("invariant 4: what an earlier request brings changes nothing", () => {
    holds((seen) => {
      for (const { before, after, input, effects } of seen) {
        if ("run" in input && input.run !== before.run) {
          expect(after).toBe(before);
          expect(effects).toEqual([]);
        }
      }
    });
  });

  test("invariant 5: of two first pages, each event is told once and in order, and where it goes on is what was told last", () => {
    holds((seen) => {
      let last: bigint | undefined;
      for (const { after, effects } of seen) {
        for (const effect of effects) {
          if (effect.type === "tell" && effect.frame.id !== undefined) {
            const id = BigInt(effect.frame.id);
            if (effect.frame.event === "event" && last !== undefined) {
              expect(id > last).toBe(true);
            }
            last = id;
          } else if (effect.type === "connect") {
            // Without an id the server tells a first page, and all before it counts no more.
            last = effect.lastId === undefined ? undefined : last;
            expect(effect.lastId).toBe(last === undefined ? undefined : String(last));
          }
        }
        if (last !== undefined && after.lastId !== undefined) {
          expect(BigInt(after.lastId)).toBe(last);
        }
      }
    });
  });

  test("invariant 6: a stream that must not miss anything never starts anew", () => {
    holds((seen, settings) => {
      if (settings.resyncAfterMs === undefined) {
        for (const { before, after } of seen) {
          expect(before.lastId === undefined || after.lastId !== undefined).toBe(true);
        }
      }
    });
  });

  test("invariant 7: the pauses grow with the failures in a row, within bounds, and are no shorter than the server asks", () => {
    holds((seen) => {
      for (const { before, after, effects, now } of seen) {
        for (const effect of effects) {
          if (effect.type === "wait") {
            expect(after.failures).toBe(wasWell(before, now) ? 1 : before.failures + 1);
            const most = Math.min(MAX_BACKOFF_MS, after.retryMs * 2 ** (after.failures - 1));
            expect(effect.ms).toBeGreaterThanOrEqual(most / 2);
            expect(effect.ms).toBeLessThanOrEqual(most);
            expect(effect.run).toBe(after.run);
          }
        }
        expect(after.retryMs).toBeGreaterThanOrEqual(MIN_RETRY_MS);
        expect(after.retryMs).toBeLessThanOrEqual(MAX_RETRY_MS);
      }
    });
    const asked = new SealogError("rate_limited", "", { status: 429, retryable: true, retryAfterMs: 20_000 });
    const [connecting] = step(INITIAL, { type: "start" }, { isRenewable: false, resyncAfterMs: undefined });
    const [, effects] = step(connecting, { type: "ended", run: 1, now: 0, random: 0, error: asked }, { isRenewable: false, resyncAfterMs: undefined });
    expect(effects).toContainEqual({ type: "wait", run: 2, ms: 20_000 });
  });

  test("invariant 8: only a stream that was well for a while is forgiven its failures", () => {
    holds((seen) => {
      for (const { before, after, input, now } of seen) {
        const isForgiven = after.failures < before.failures;
        if (isForgiven && input.type !== "again") {
          expect(wasWell(before, now)).toBe(true);
        }
      }
    });
  });

  test("invariant 9: a token is renewed at once only the first time, and given up after some refusals", () => {
    holds((seen, settings) => {
      let [atOnce, refusals] = [0, 0];
      for (const { before, after, input, effects, now } of seen) {
        if (wasWell(before, now) || input.type === "again") {
          atOnce = 0;
        }
        const isEnd = (input.type === "frame" || input.type === "ended") && after.run !== before.run;
        if (input.type === "again" || (isEnd && before.phase === "open" && before.hasTold)) {
          refusals = 0;
        }
        const isRefused = isEnd && after.error?.status === 401;
        refusals += isRefused ? 1 : 0;
        for (const effect of connects(effects)) {
          if (effect.way === "renew") {
            atOnce++;
          }
          expect(!effect.renew || settings.isRenewable).toBe(true);
        }
        expect(atOnce).toBeLessThanOrEqual(1);
        expect(after.refusals).toBeLessThanOrEqual(MAX_REFUSALS);
        if (after.refusals === MAX_REFUSALS) {
          expect(["failed", "closed"]).toContain(after.phase);
        }
        if (isRefused) {
          expect(after.phase === "failed").toBe(!settings.isRenewable || refusals >= MAX_REFUSALS);
        }
      }
    });
  });

  test("a token that ends soon after it let the stream in is renewed again and again", () => {
    const settings = { isRenewable: true, resyncAfterMs: undefined };
    const expired = { event: "stop", data: '{"reason":"expired"}' };
    const told = { event: "stats", data: "{}" };
    let [state, effects] = step(INITIAL, { type: "start" }, settings);
    for (let time = 0; time < 10; time++) {
      expect(connects(effects)).toMatchObject([{ renew: time > 0 }]);
      for (const input of [{ type: "opened" }, { type: "frame", frame: told }, { type: "frame", frame: expired }] as const) {
        [state, effects] = step(state, { ...input, run: state.run, now: 0, random: 0 } as LiveInput, settings);
      }
      if (time > 0) {
        expect(state.phase).toBe("waiting");
        [state, effects] = step(state, { type: "waited", run: state.run }, settings);
      }
    }
    expect(state.phase).toBe("connecting");
  });

  test("invariant 10: what another attempt would not change is not attempted but by hand", () => {
    holds((seen) => {
      for (const { before, input, effects } of seen) {
        if (before.phase === "failed") {
          expect(connects(effects).every(() => input.type === "again")).toBe(true);
        }
      }
    });
  });

  test("invariant 11: whatever happened, a page that is seen and a server that is well are live in the end", () => {
    fc.assert(
      fc.property(history, settings, (history, settings) => {
        const seen = run(history, settings);
        let state = seen.at(-1)?.after ?? step(INITIAL, { type: "start" }, settings)[0];
        const take = (input: LiveInput) => ([state] = step(state, input, settings));
        take({ type: "visible", now: 1e9 });
        take({ type: "waited", run: state.run });
        take({ type: "again" });
        take({ type: "opened", run: state.run, now: 1e9 });
        expect(["open", "closed"]).toContain(state.phase);
      }),
      { numRuns: 1_000 },
    );
  });

  /** How a request ends, in the very piece that tells events. */
  const ending = fc.constantFrom(
    ["", "end"] as const,
    ["", "fail"] as const,
    ['event: stop\ndata: {"reason":"shutdown"}\n\n', "wait"] as const,
    ['event: stop\ndata: {"reason":"expired"}\n\n', "wait"] as const,
    ['event: error\ndata: {"status":503,"code":"busy"}\n\n', "end"] as const,
    ["event: event\ndata: {}\n\n", "wait"] as const,
  );

  test("invariant 12: what came is taken, one piece after the other, before the stream moves on", async () => {
    const request = fc.tuple(fc.integer({ min: 1, max: 3 }), ending);
    const taking = fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.boolean());
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 8 }), fc.array(taking, { maxLength: 8 }), async (requests, takings) => {
        const time = new VirtualTime();
        const left = [...requests];
        const environment = time.environment(async (_url, { headers, signal } = {}) => {
          const last = Number((headers as Record<string, string>)["last-event-id"]);
          const [count, [word, then]] = left.shift() ?? [20, ["", "wait"]];
          const seqs = [...Array(20).keys()].filter((seq) => seq > last).slice(0, count);
          return saying(seqs.map((seq) => frameText("event", { seq }, seq)).join("") + word, then, signal);
        });
        const transport = new Transport({ url: "http://log.test", credential: () => "t", timeoutMs: 30_000, environment });
        const taken: number[] = [];
        let isTaking = false;
        let hasOverlapped = false;
        await new Promise<void>((resolve) => {
          const connection = new Connection(transport, { path: "/v1/events", query: "" }, {
            afterSeq: -1,
            onFrames: async (frames) => {
              hasOverlapped ||= isTaking;
              isTaking = true;
              const [ms, hides] = takings.shift() ?? [0, false];
              await new Promise<void>((resolve) => environment.setTimeout(resolve, ms));
              if (hides) {
                connection.setHidden(true);
                connection.setHidden(false);
                await new Promise<void>((resolve) => environment.setTimeout(resolve, ms));
              }
              taken.push(...frames.map(({ id }) => Number(id)));
              isTaking = false;
              if (taken.includes(19)) {
                connection.close();
                resolve();
              }
            },
            onPhase: (phase) => phase === "failed" && environment.setTimeout(() => connection.again(), 0),
          });
          connection.start();
        });
        expect(taken).toEqual([...Array(20).keys()]);
        expect(hasOverlapped).toBe(false);
      }),
      { numRuns: 200 },
    );
    // Where the piece cannot be read, the stream begins anew, whatever else was in it.
    const asked: unknown[] = [];
    await new Promise<void>((resolve) => {
      const environment = new VirtualTime().environment(async (_url, { headers, signal } = {}) => {
        asked.push((headers as Record<string, string>)["last-event-id"]);
        if (asked.length === 2) {
          connection.close();
          resolve();
        }
        return saying(frameText("event", {}, 5) + frameText("stop", { reason: "shutdown" }), "wait", signal);
      });
      const transport = new Transport({ url: "http://log.test", timeoutMs: 30_000, environment });
      const onFrames = () => Promise.reject(new Error("unreadable"));
      const connection = new Connection(transport, { path: "/v1/events", query: "" }, { afterSeq: 1, resyncAfterMs: 60_000, onFrames });
      connection.start();
    });
    expect(asked).toEqual(["1", undefined]);
  });
});
