import { environment, Transport, type Credential, type Environment } from "../transport.js";
import { questions, type QuestionName } from "../wire.js";
import { Streams } from "./streams.js";

export interface AuditLogApiOptions {
  /** Where the server is, or where the application has mounted the router: `/audit` on the page's own origin. */
  url: string;
  /**
   * A view token, or what brings one from the application's backend. It is asked again when a token ends. Leave it
   * out where the application's own session lets the page in.
   */
  token?: Credential;
  /** Headers for each request. */
  headers?: Record<string, string>;
  /** Whether cookies go along to another origin. */
  credentials?: RequestCredentials;
  /** How long an answer may take, in milliseconds. Default: 30,000. */
  timeoutMs?: number;
  /** How long a tab is hidden before its streams pause, in milliseconds. Default: 5,000, so that a glance elsewhere costs nothing. */
  pauseAfterMs?: number;
  /** How long a stream lives on when nobody looks at it, in milliseconds. Default: 1,000, so that moving about a page costs nothing. */
  lingerMs?: number;
  /** The network, the clock and chance, for tests. */
  environment?: Partial<Environment>;
}

/** What a hook asks, and of which log. */
export interface QueryRef<Name extends QuestionName = QuestionName> {
  readonly name: Name;
  /** @internal */
  readonly streams: Streams;
}

/** References to give to hooks. */
export type AuditLogApi = { readonly [Name in QuestionName]: QueryRef<Name> };

/**
 * References to what can be asked of a log, for the hooks. Make one for a page, not one for each render: those who
 * ask the same by one `api` share a stream.
 *
 * ```ts
 * export const api = createAuditLogApi({ url: "https://audit.example.com", token: () => fetchToken() });
 * ```
 */
export function createAuditLogApi(options: AuditLogApiOptions): AuditLogApi {
  const { url, token, headers, credentials, timeoutMs = 30_000, pauseAfterMs = 5_000, lingerMs = 1_000 } = options;
  const transport = new Transport({
    url,
    timeoutMs,
    environment: environment(options.environment),
    credential: token,
    headers,
    credentials,
  });
  const streams = new Streams(transport, { pauseAfterMs, lingerMs });
  const names = Object.keys(questions) as QuestionName[];
  return Object.fromEntries(names.map((name) => [name, { name, streams }])) as unknown as AuditLogApi;
}
