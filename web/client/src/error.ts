/** What goes wrong on this side of the line. */
export type ClientErrorCode =
  /** No answer: the server is not there, or the line broke. */
  | "network"
  /** No answer in time. */
  | "timeout"
  /** An answer that no Sealog server gives. */
  | "bad_answer"
  /** The client was closed. */
  | "client_closed"
  /** More events are waiting than `maxBufferedEvents` or `maxBufferedBytes` allow. */
  | "buffer_full"
  /** The caller's signal ended it. */
  | "aborted"
  /** The proof does not show what it should. */
  | "invalid_proof"
  /** It could not be checked: what it takes is not there, and says nothing of the proof. */
  | "unsupported"
  /** What was passed cannot be sent. */
  | "invalid_argument";

/** The codes of the server that programs ask for most; every other one is a text as well. */
export type ServerErrorCode =
  | "invalid_event"
  | "limit_exceeded"
  | "reserved_action"
  | "id_conflict"
  | "invalid_argument"
  | "not_found"
  | "unauthenticated"
  | "forbidden"
  | "too_large"
  | "rate_limited"
  | "too_many_streams"
  | "storage"
  | "busy"
  | "overloaded"
  | "stopping"
  | "timed_out"
  | "internal";

/** A stable word for what went wrong. */
export type ErrorCode = ClientErrorCode | ServerErrorCode | (string & {});

/** An error, with the server's `code` where it is the server's. */
export class SealogError extends Error {
  override readonly name = "SealogError";
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** Which part of what was sent is wrong, as a JSON Pointer. */
  readonly pointer: string | undefined;
  /** Whether the same may succeed later. */
  readonly retryable: boolean;
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    more: { status?: number; pointer?: string | undefined; retryable?: boolean; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, "cause" in more ? { cause: more.cause } : undefined);
    this.code = code;
    this.status = more.status;
    this.pointer = more.pointer;
    this.retryable = more.retryable ?? false;
    this.retryAfterMs = more.retryAfterMs;
  }
}

/** Whether a status says that the same may succeed later. An event has an id, so sending it again is safe. */
export function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** The error that a problem (RFC 9457) tells of; of anything else, one that says what came. */
export function problemError(status: number, body: unknown, retryAfterMs?: number): SealogError {
  const problem = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const retryable = isRetryableStatus(status);
  if (typeof problem.code !== "string") {
    return new SealogError("bad_answer", `the answer has the status ${status}, and no problem that says why`, {
      status,
      retryable,
      retryAfterMs,
    });
  }
  return new SealogError(problem.code, typeof problem.detail === "string" ? problem.detail : problem.code, {
    status,
    retryable,
    retryAfterMs,
    pointer: typeof problem.pointer === "string" ? problem.pointer : undefined,
  });
}
