import { useCallback, useEffect, useRef, useState } from "react";
import { asError, environment, Transport, type SealogError, entryOf, pageOf, queryString, statsOf } from "sealog/live";
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

/** What a finding is known by. */
export const keyOf = ({ rule, group, first }: Finding): string => `${rule}|${group ?? ""}|${first.seq}`;

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

/** What is made anew with each key, so that nothing of another one is left in it. */
function perKey<T>(make: (key: string) => T): () => T {
  let made: { key: string; value: T } | undefined;
  return () => {
    const key = currentKey();
    if (made?.key !== key) {
      made = { key, value: make(key) };
    }
    return made.value;
  };
}

/** The network, where a key that is no longer taken ends its session, whoever asked with it. */
function watched(key: string) {
  return environment({
    async fetch(...args) {
      const answer = await fetch(...args);
      if (answer.status === 401 && currentKey() === key) {
        setKey(null);
      }
      return answer;
    },
  });
}

// The key is had by a function: then a stream whose key is over asks once more, and is told so.
export const transport = perKey(
  (key) => new Transport({ url: location.origin, credential: () => key, timeoutMs: TIMEOUT_MS, environment: watched(key) }),
);

/** The package's own hooks, for what is shown as it is told. */
export const live = perKey((key) => createAuditLogApi({ url: location.origin, token: () => key, environment: watched(key) }));

export async function get<T>(path: string, query: Record<string, unknown> = {}, signal?: AbortSignal): Promise<T> {
  return (await transport().json({ method: "GET", path, query: queryString(query), signal })) as T;
}

export async function send<T>(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return (await transport().json({ method, path, body: JSON.stringify(body), signal })) as T;
}

export async function text(path: string, signal?: AbortSignal): Promise<string> {
  return (await transport().text({ method: "GET", path, signal })).text;
}

export async function open(path: string, body: unknown, accept: string, signal?: AbortSignal): Promise<Response> {
  return (await transport().open({ method: "POST", path, body: JSON.stringify(body), accept, signal })).response;
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
 * What `load` answers, asked again when `key` changes, on `reload`, and `everyMs` after each answer. What was there
 * before stays while the next is on its way or has failed, unless it was of another `key`.
 */
export function useLoaded<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ key: string | null; data?: T; error?: SealogError; isLoading: boolean }>({ key, isLoading: key !== null });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(() => setTurn((turn) => turn + 1), []);
  useEffect(() => {
    if (key === null) {
      return;
    }
    const abort = new AbortController();
    let timer: number | undefined;
    setState((was) => (was.key === key ? { ...was, isLoading: true } : { key, isLoading: true }));
    const settle = (next: (was: typeof state) => typeof state) => {
      if (!abort.signal.aborted) {
        setState(next);
        timer = everyMs === undefined ? undefined : window.setTimeout(reload, everyMs);
      }
    };
    latest.current(abort.signal).then(
      (data) => settle(() => ({ key, data, isLoading: false })),
      (cause: unknown) => settle((was) => ({ key, ...(was.key === key && was.data !== undefined ? { data: was.data } : {}), error: asError(cause), isLoading: false })),
    );
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [key, turn, everyMs, reload]);
  const isCurrent = state.key === key;
  return {
    data: isCurrent ? state.data : undefined,
    error: isCurrent ? state.error : undefined,
    isLoading: isCurrent ? state.isLoading : key !== null,
    reload,
  };
}

/** What was there last for the same `key`, while there is nothing. */
export function useKept<T>(key: string, data: T | undefined): T | undefined {
  const [kept, setKept] = useState({ key, data });
  if (kept.key !== key || (data !== undefined && kept.data !== data)) {
    setKept({ key, data });
  }
  return data ?? (kept.key === key ? kept.data : undefined);
}
