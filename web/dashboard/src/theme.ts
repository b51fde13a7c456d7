import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark";
const NAME = "sealog.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

function chosen(): Theme | null {
  try {
    const kept = localStorage.getItem(NAME);
    return kept === "light" || kept === "dark" ? kept : null;
  } catch {
    return null;
  }
}

let theme: Theme = chosen() ?? (dark.matches ? "dark" : "light");

function apply(): void {
  document.documentElement.dataset.theme = theme;
  listeners.forEach((listener) => listener());
}

dark.addEventListener("change", () => {
  if (chosen() === null) {
    theme = dark.matches ? "dark" : "light";
    apply();
  }
});
apply();

export function toggleTheme(): void {
  theme = theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(NAME, theme);
  } catch {
    // It holds as long as the page, then.
  }
  apply();
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => (listeners.add(listener), () => listeners.delete(listener)),
    () => theme,
  );
}
