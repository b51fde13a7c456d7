// Where somebody is, is in the address: a path, and parameters for all that filters.
import { useCallback, useMemo, useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from "react";
import { quoted } from "./query";

const listeners = new Set<() => void>();
let moved = false;
const told = () => {
  moved = true;
  listeners.forEach((listener) => listener());
};
addEventListener("popstate", told);

/** Whether somebody has come to where they are from another place of the dashboard. */
export const hasMoved = (): boolean => moved;

const address = () => location.pathname + location.search;

export function navigate(to: string, { replace = false } = {}): void {
  if (to === address()) {
    return;
  }
  history[replace ? "replaceState" : "pushState"](null, "", to);
  told();
}

export function usePath(): string[] {
  const path = useSyncExternalStore(
    (listener) => (listeners.add(listener), () => listeners.delete(listener)),
    () => location.pathname,
  );
  return useMemo(() => path.split("/").slice(1).map(decode), [path]);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function useParams(): [URLSearchParams, (change: Record<string, string | null>, options?: { replace?: boolean }) => void] {
  const search = useSyncExternalStore(
    (listener) => (listeners.add(listener), () => listeners.delete(listener)),
    () => location.search,
  );
  const params = useMemo(() => new URLSearchParams(search), [search]);
  const change = useCallback((values: Record<string, string | null>, options?: { replace?: boolean }) => {
    const next = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(values)) {
      if (value === null || value === "") {
        next.delete(name);
      } else {
        next.set(name, value);
      }
    }
    const query = next.toString();
    navigate(location.pathname + (query ? `?${query}` : ""), options);
  }, []);
  return [params, change];
}

export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  const follow = (clicked: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(clicked);
    const isPlain = clicked.button === 0 && !clicked.metaKey && !clicked.ctrlKey && !clicked.shiftKey && !clicked.altKey;
    if (isPlain && !clicked.defaultPrevented) {
      clicked.preventDefault();
      navigate(href);
    }
  };
  return <a href={href} onClick={follow} {...rest} />;
}

const search = (params: Record<string, string>) => {
  const text = new URLSearchParams(params).toString();
  return text && `?${text}`;
};

/** Addresses; `more` are further parameters, such as those of a range. */
export const to = {
  events: (q: string, more: Record<string, string> = {}) => `/events${search({ ...(q ? { q } : {}), ...more })}`,
  event: (id: string, q = "", more: Record<string, string> = {}) => to.events(q, { ...more, event: id }),
  actor: (id: string, more: Record<string, string> = {}) => `/actors/${encodeURIComponent(id)}${search(more)}`,
  findings: (more: Record<string, string> = {}) => `/findings${search(more)}`,
  resource: (type: string, id?: string) =>
    id === undefined ? to.events(`resource-type:${quoted(type)}`) : `/resources/${encodeURIComponent(type)}/${encodeURIComponent(id)}`,
};
