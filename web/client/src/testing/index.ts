import { AuditLog, type AuditLogOptions } from "../client.js";
import { equalJson, isObject, toJson, type Json, type JsonObject } from "../json.js";

/** An event as the log would get it: with its id, and hidden what is hidden. */
export type RecordedEvent = JsonObject & { id: string; action: string };

/** A log that keeps what is logged in memory, for an application's own tests. */
export class RecordingLog extends AuditLog {
  readonly #events: RecordedEvent[];

  constructor(options: Omit<AuditLogOptions, "url" | "apiKey" | "environment"> = {}) {
    const events: RecordedEvent[] = [];
    const environment = { fetch: (_url: unknown, request?: RequestInit) => Promise.resolve(answer(events, request)) };
    super({ retry: { maxAttempts: 1 }, ...options, url: "http://recording.invalid", environment });
    this.#events = events;
  }

  /** What was logged, the oldest first. */
  get events(): readonly RecordedEvent[] {
    return this.#events;
  }

  /** Forgets what was logged. */
  clear(): void {
    this.#events.length = 0;
  }

  /** The events that have all that `expected` has. */
  matching(expected: ExpectedEvent): RecordedEvent[] {
    return this.#events.filter((event) => matches(expected, event));
  }
}

/** A log that records: `const log = recordingLog()`. */
export function recordingLog(options?: ConstructorParameters<typeof RecordingLog>[0]): RecordingLog {
  return new RecordingLog(options);
}

/** What an event must have. Objects may have more; everything else is equal. A function says itself whether it is met. */
export type ExpectedEvent = { [field: string]: unknown };

/** The server's part: it takes events, each once, and answers nothing else. */
function answer(events: RecordedEvent[], request: RequestInit | undefined): Response {
  if (request?.method !== "POST" || typeof request.body !== "string") {
    const problem = { code: "not_recorded", detail: "a recording log takes events, and answers no questions" };
    return Response.json(problem, { status: 501 });
  }
  const isBulk = request.body.startsWith("[");
  const sent = (isBulk ? JSON.parse(request.body) : request.body.trim().split("\n").map((line) => JSON.parse(line))) as RecordedEvent[];
  const receipts = sent.map((event) => {
    const known = events.findIndex(({ id }) => id === event.id);
    const seq = known < 0 ? events.push(event) - 1 : known;
    return { id: event.id, seq, timestamp: event.timestamp ?? 0, treeSize: seq + 1, ...(known < 0 ? {} : { existed: true }) };
  });
  if (isBulk) {
    return Response.json({ receipts });
  }
  return new Response(receipts.map((receipt, index) => `${JSON.stringify({ line: index + 1, ...receipt })}\n`).join(""));
}

function matches(expected: unknown, actual: unknown): boolean {
  if (typeof expected === "function") {
    return Boolean(expected(actual));
  }
  // `expect.any(String)` and its like say themselves what they meet.
  if (isObject(expected) && typeof (expected as { asymmetricMatch?: unknown }).asymmetricMatch === "function") {
    return (expected as unknown as { asymmetricMatch(actual: unknown): boolean }).asymmetricMatch(actual);
  }
  if (isObject(expected)) {
    return isObject(actual) && Object.entries(expected).every(([name, value]) => matches(value, actual[name]));
  }
  if (Array.isArray(expected)) {
    return (
      Array.isArray(actual) && actual.length === expected.length && expected.every((value, at) => matches(value, actual[at]))
    );
  }
  if (expected === undefined || actual === undefined) {
    return expected === actual;
  }
  return equalJson(toJson(expected, "what is expected") as Json, actual as Json);
}

interface MatcherResult {
  pass: boolean;
  message: () => string;
}

/**
 * For `expect.extend`, of Vitest, Jest or any other that takes matchers in this form.
 *
 * ```ts
 * expect.extend(matchers);
 * expect(log).toHaveLogged({ action: "note.created", actorId: "ada" });
 * ```
 */
export const matchers = {
  /** That an event was logged which has all that `expected` has; with `times`, so many of them. */
  toHaveLogged(log: RecordingLog, expected: ExpectedEvent, times?: number): MatcherResult {
    if (!(log instanceof RecordingLog)) {
      throw new TypeError("toHaveLogged looks into a log made by recordingLog()");
    }
    const found = log.matching(expected).length;
    const pass = times === undefined ? found > 0 : found === times;
    const show = (value: unknown) => JSON.stringify(value, null, 2);
    const wanted = `${pass ? "no " : ""}event like ${show(expected)}${times === undefined ? "" : `, ${times} times`}`;
    return { pass, message: () => `expected ${wanted}; found ${found} in what was logged:\n${show(log.events)}` };
  },
};

/** What `matchers` adds to `expect(log)`. */
export interface AuditLogMatchers<R = unknown> {
  toHaveLogged(expected: ExpectedEvent, times?: number): R;
}
