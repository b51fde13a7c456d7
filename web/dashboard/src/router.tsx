// Where somebody is, is in the address: a path, and parameters for all that filters.
import { useCallback, useMemo, useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from "react";

const listeners = new Set<() => void>();
const told = () => listeners.forEach((listener) => listener());
addEventListener("popstate", told);

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

export const to = {
  events: (q: string) => `/events${q ? `?q=${encodeURIComponent(q)}` : ""}`,
  actor: (id: string) => `/actors/${encodeURIComponent(id)}`,
  resource: (type: string, id?: string) =>
    id === undefined ? to.events(`resource-type:${quoted(type)}`) : `/resources/${encodeURIComponent(type)}/${encodeURIComponent(id)}`,
};

/** A value as it stands in the compact form. */
export function quoted(value: string): string {
  return /^[\w.@/+-]+$/.test(value) && !value.startsWith("-") ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}
