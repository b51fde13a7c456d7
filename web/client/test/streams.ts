import type { Environment } from "../src/transport.js";

/** One stream that a page has open. */
export interface OpenStream {
  url: URL;
  headers: Record<string, string>;
  body: string | undefined;
  isOpen: boolean;
  send(event: string, data: unknown, id?: number): void;
  /** Sends some frames in one piece. */
  write(text: string): void;
  end(): void;
  fail(): void;
}

/** A server of streams behind `fetch`, which does what the test says. */
export class StreamServer {
  readonly streams: OpenStream[] = [];
  /** Answers what is no stream, or instead of one. */
  answer: (url: URL, request: RequestInit) => Response | undefined = () => undefined;

  get open(): OpenStream[] {
    return this.streams.filter((stream) => stream.isOpen);
  }

  readonly fetch: Environment["fetch"] = async (address, request = {}) => {
    const url = new URL(String(address));
    const answer = this.answer(url, request);
    if (answer) {
      return answer;
    }
    const encoder = new TextEncoder();
    let controller!: ReadableStreamDefaultController<Uint8Array>;
    const stream: OpenStream = {
      url,
      headers: request.headers as Record<string, string>,
      body: request.body as string | undefined,
      isOpen: true,
      send: (event, data, id) => stream.write(frameText(event, data, id)),
      write: (text) => controller.enqueue(encoder.encode(text)),
      end: () => ((stream.isOpen = false), controller.close()),
      fail: () => ((stream.isOpen = false), controller.error(new TypeError("terminated"))),
    };
    const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
    request.signal?.addEventListener("abort", () => {
      if (stream.isOpen) {
        stream.isOpen = false;
        controller.error(request.signal!.reason);
      }
    });
    controller.enqueue(encoder.encode("retry: 1000\n\n"));
    this.streams.push(stream);
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
}

/** A frame as a server writes it. */
export function frameText(event: string, data: unknown, id?: number): string {
  return `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
}

/** A stream that says all of this at once, and then ends, breaks or says nothing more. */
export function saying(text: string, then: "end" | "fail" | "wait", signal?: AbortSignal | null): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      if (then === "end") {
        controller.close();
      }
      signal?.addEventListener("abort", () => then === "wait" && controller.error(signal.reason));
    },
    pull(controller) {
      if (then === "fail") {
        controller.error(new TypeError("terminated"));
      }
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

/** An event as a server tells it. */
export function record(seq: number, more: Record<string, unknown> = {}) {
  return { id: `e-${seq}`, seq, timestamp: 1_000 + seq, recordedAt: 2_000 + seq, action: `action.${seq}`, severity: "info", ...more };
}

/** A first page. */
export function snapshot(seqs: number[], more: Record<string, unknown> = {}) {
  return { events: seqs.map((seq) => record(seq)), hasMore: false, ...more };
}
