import type { Environment } from "../src/transport.js";

/** Time that moves only when everybody waits: timers run in order, as soon as nothing else is to be done. */
export class VirtualTime {
  now = 1_767_225_600_000;
  #timers = new Map<number, { at: number; run: () => void }>();
  #next = 1;
  #isTurning = false;

  environment(fetch: Environment["fetch"], random = 0.5): Environment {
    return {
      fetch,
      now: () => this.now,
      random: () => random,
      setTimeout: (run, ms) => {
        const id = this.#next++;
        this.#timers.set(id, { at: this.now + ms, run });
        this.#turn();
        return id;
      },
      clearTimeout: (timer) => void this.#timers.delete(timer as number),
    };
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  #turn(): void {
    if (!this.#isTurning) {
      this.#isTurning = true;
      setImmediate(() => {
        this.#isTurning = false;
        const [first] = [...this.#timers].sort((a, b) => a[1].at - b[1].at || a[0] - b[0]);
        if (first) {
          this.#timers.delete(first[0]);
          this.now = Math.max(this.now, first[1].at);
          first[1].run();
          this.#turn();
        }
      });
    }
  }
}

/** What a server may do to a request. */
export type Fault =
  | "none"
  /** The line breaks before the server has it. */
  | "lost"
  /** The server stores it, and the line breaks. */
  | "stored but lost"
  /** The server stores it, and the answer breaks in the middle. */
  | "cut"
  /** The server stores it, and never answers. */
  | "silent"
  /** Something else answers. */
  | "page"
  /** Somebody answers that other events are logged. */
  | "stranger"
  /** A proxy says no. */
  | "bad gateway"
  /** The server says that it is busy. */
  | "busy"
  /** Each other line cannot be stored for now. */
  | "half"
  /** The key is refused. */
  | "refused";

/** A log behind `fetch`, as bad as it is told to be. */
export class FakeServer {
  readonly events: Record<string, unknown>[] = [];
  readonly requests: { url: string; request: RequestInit }[] = [];
  faults: Fault[] = [];

  readonly fetch: Environment["fetch"] = async (url, request = {}) => {
    this.requests.push({ url: String(url), request });
    const fault = this.faults.shift() ?? "none";
    const { signal } = request;
    switch (fault) {
      case "lost":
        throw new TypeError("fetch failed");
      case "page":
        return new Response("<!doctype html><p>Sign in</p>", { headers: { "content-type": "text/html" } });
      case "stranger":
        return new Response('{"line":1,"id":"x","seq":1}\n{"receipts":[{"id":"x","seq":1}]}\n');
      case "bad gateway":
        return new Response("<h1>502</h1>", { status: 502 });
      case "busy":
        return problem(503, "busy", { "retry-after": "1" });
      case "refused":
        return problem(401, "unauthenticated");
      default:
    }
    const answer = this.#log(String(request.body), fault === "half");
    switch (fault) {
      case "stored but lost":
        throw new TypeError("terminated");
      case "silent":
        return new Promise<Response>((_, reject) => signal!.addEventListener("abort", () => reject(signal!.reason)));
      case "cut": {
        const half = new TextEncoder().encode(answer.slice(0, answer.length / 2));
        return new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(half),
            pull: (controller) => controller.error(new TypeError("terminated")),
          }),
        );
      }
      default:
        return new Response(answer);
    }
  };

  #log(body: string, onlyHalf: boolean): string {
    const isBulk = body.startsWith("[");
    const lines = isBulk ? (JSON.parse(body) as Record<string, unknown>[]) : body.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
    const receipts = lines.map((event, index) => {
      if (onlyHalf && !isBulk && index % 2 === 1) {
        return { line: index + 1, error: { status: 503, code: "busy", detail: "busy" } };
      }
      if (event.action === "refuse me") {
        return { line: index + 1, error: { status: 422, code: "invalid_event", detail: "no", pointer: "/action" } };
      }
      const known = this.events.findIndex(({ id }) => id === event.id);
      const seq = known < 0 ? this.events.push(event) - 1 : known;
      return { line: index + 1, id: event.id, seq, timestamp: event.timestamp, treeSize: seq + 1, ...(known < 0 ? {} : { existed: true }) };
    });
    return isBulk ? JSON.stringify({ receipts }) : `${receipts.map((receipt) => JSON.stringify(receipt)).join("\n")}\n{"end":{"lines":${lines.length}}}\n`;
  }
}

export function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify({ type: "about:blank", title: "", status, code, detail: code }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}
