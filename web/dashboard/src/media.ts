import { useSyncExternalStore } from "react";

/** Whether a media query holds now. */
export function useMedia(query: MediaQueryList): boolean {
  return useSyncExternalStore(
    (listener) => (query.addEventListener("change", listener), () => query.removeEventListener("change", listener)),
    () => query.matches,
  );
}

/** Where the navigation is a menu, and rows have two lines. */
export const narrow = matchMedia("(max-width: 719px)");
/** Where an event lies over the page and not beside it. */
export const overlaid = matchMedia("(max-width: 1099px)");

/** Makes all but an element, and what it is in, unreachable. Answers what makes it reachable again. */
export function isolate(element: Element): () => void {
  const made: Element[] = [];
  for (let at = element; at !== document.body && at.parentElement; at = at.parentElement) {
    for (const other of at.parentElement.children) {
      if (other !== at && !other.hasAttribute("inert")) {
        other.setAttribute("inert", "");
        made.push(other);
      }
    }
  }
  return () => made.forEach((other) => other.removeAttribute("inert"));
}
