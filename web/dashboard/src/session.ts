// The key, for as long as the tab is open: in memory and in session storage, and nowhere else.
import { useSyncExternalStore } from "react";

const NAME = "sealog.key";
const listeners = new Set<() => void>();
let key: string | null = fromAddress() ?? stored();

// Where a page of the dashboard is open already, such an address changes no more than what stands behind the `#`.
addEventListener("hashchange", () => {
  const given = fromAddress();
  if (given !== null) {
    setKey(given);
  }
});

/** The demo hands its key over behind the `#`, which is sent to nobody. It does not stay in the address. */
function fromAddress(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given === null) {
    return null;
  }
  history.replaceState(null, "", location.pathname + location.search);
  if (!isKey(given)) {
    return null;
  }
  keep(given);
  return given;
}

/** Whether it can be a key or a token: both are of letters that a header takes. */
export function isKey(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    // Storage may be forbidden; then the key lives as long as the page.
    return null;
  }
}

function keep(value: string | null): void {
  try {
    if (value === null) {
      sessionStorage.removeItem(NAME);
    } else {
      sessionStorage.setItem(NAME, value);
    }
  } catch {
    // As above.
  }
}

export function currentKey(): string {
  return key ?? "";
}

export function setKey(value: string | null): void {
  key = value;
  keep(value);
  listeners.forEach((listener) => listener());
}

export function useKey(): string | null {
  return useSyncExternalStore(
    (listener) => (listeners.add(listener), () => listeners.delete(listener)),
    () => key,
  );
}
