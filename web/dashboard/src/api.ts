import { useCallback, useEffect, useRef, useState } from "react";
import { asError, environment, SealogError, Transport, entryOf, pageOf, queryString, statsOf } from "sealog/live";
import { createAuditLogApi, type AuditLogEntry, type AuditLogStats, type QueryFilters } from "sealog/react";
import { currentKey, setKey } from "./session";

export type Severity = AuditLogEntry["severity"];
export type { AuditLogEntry, AuditLogStats, QueryFilters };

export interface Caller {
  id: string;
  kind: string;
  name?: string;
  scopes: QueryFilters[];
  isAdmin: boolean;
  until?: number;
  origin: string;
  version: string;
  isDemo: boolean;
}

export interface Finding {
  rule: string;
  groupBy?: string;
  group?: string;
  count: number;
  threshold: number;
  windowMs: number;
  first: { seq: number; timestamp: number; id: string };
  last: { seq: number; timestamp: number; id: string };
  ids: string[];
}

export interface Findings {
  total: number;
  findings: Finding[];
}

export interface Rule {
  name: string;
  filter?: QueryFilters;
  action?: string;
  groupBy?: string;
  threshold?: number;
  windowMs?: number;
  unusual?: { sensitivity?: number; minWeeks?: number };
}

export interface Tree {
  origin: string;
  size: number;
  root: string;
  vkey: string;
  vkeys: string[];
  checkpoints: { size: number; root: string; note: string }[];
  witnesses: { name: string; size?: number; signedAt?: number }[];
}

const TIMEOUT_MS = 30_000;

export const transport = new Transport({
  url: location.origin,
  credential: currentKey,
  timeoutMs: TIMEOUT_MS,
  environment: environment(),
});

/** The package's own hooks, for what is shown as it is told. */
export const live = createAuditLogApi({ url: location.origin, token: currentKey });

/** A key that is no longer taken ends the session. */
function refused(cause: unknown): SealogError {
  const error = asError(cause);
  if (error.status === 401) {
    transport.renew();
    setKey(null);
  }
  return error;
}

export async function get<T>(path: string, query: Record<string, unknown> = {}, signal?: AbortSignal): Promise<T> {
  try {
    return (await transport.json({ method: "GET", path, query: queryString(query), signal })) as T;
  } catch (cause) {
    throw refused(cause);
  }
}

export async function send<T>(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  try {
    return (await transport.json({ method, path, body: JSON.stringify(body), signal })) as T;
  } catch (cause) {
    throw refused(cause);
  }
}

export async function text(path: string, signal?: AbortSignal): Promise<string> {
  try {
    return (await transport.text({ method: "GET", path, signal })).text;
  } catch (cause) {
    throw refused(cause);
  }
}

export async function open(path: string, body: unknown, accept: string, signal?: AbortSignal): Promise<Response> {
  try {
    return (await transport.open({ method: "POST", path, body: JSON.stringify(body), accept, signal })).response;
  } catch (cause) {
    throw refused(cause);
  }
}

export async function events(query: Record<string, unknown>, signal?: AbortSignal) {
  return pageOf(await get("/v1/events", query, signal));
}

export async function event(id: string, signal?: AbortSignal): Promise<AuditLogEntry> {
  return entryOf(await get(`/v1/events/${encodeURIComponent(id)}`, {}, signal));
}

export async function stats(query: Record<string, unknown>, signal?: AbortSignal): Promise<AuditLogStats> {
  return statsOf(await get("/v1/stats", query, signal));
}

export interface Loaded<T> {
  data: T | undefined;
  error: SealogError | undefined;
  isLoading: boolean;
  reload: () => void;
}

/**
 * What `load` answers, asked again when `key` changes or on `reload`. What was there before stays while the next is on
 * its way, unless it was of another `key`.
 */
export function useLoaded<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string | null; data?: T; error?: SealogError; isLoading: boolean }>({ key, isLoading: key !== null });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (key === null) {
      return;
    }
    const abort = new AbortController();
    setState((was) => (was.key === key ? { ...was, isLoading: true } : { key, isLoading: true }));
    latest.current(abort.signal).then(
      (data) => abort.signal.aborted || setState({ key, data, isLoading: false }),
      (cause: unknown) => {
        if (!abort.signal.aborted) {
          setState((was) => ({ key, ...(was.key === key && was.data !== undefined ? { data: was.data } : {}), error: asError(cause), isLoading: false }));
        }
      },
    );
    return () => abort.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((turn) => turn + 1), []);
  const isCurrent = state.key === key;
  return {
    data: isCurrent ? state.data : undefined,
    error: isCurrent ? state.error : undefined,
    isLoading: isCurrent ? state.isLoading : key !== null,
    reload,
  };
}
