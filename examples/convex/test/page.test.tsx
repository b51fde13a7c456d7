// @vitest-environment happy-dom
// The page over the application's functions, as Convex would answer it.
import { ConvexProvider, type ConvexReactClient } from "convex/react";
import { getFunctionName, type FunctionReference } from "convex/server";
import { createRoot } from "react-dom/client";
import { afterEach, expect, test, vi } from "vitest";
import { api } from "../convex/_generated/api";
import { Page } from "../src/page";
import { application } from "./app";

/** What stands in for the client: it asks again after each mutation, as Convex does where something changed. */
function clientOf(t: ReturnType<ReturnType<typeof application>["withIdentity"]>): ConvexReactClient {
  const watched = new Map<string, { value: unknown; ask: () => Promise<void>; listeners: Set<() => void> }>();
  return {
    watchQuery(query: FunctionReference<"query">, args: Record<string, unknown>) {
      const key = `${getFunctionName(query)} ${JSON.stringify(args)}`;
      const listeners = watched.get(key)?.listeners ?? new Set<() => void>();
      const entry = watched.get(key) ?? {
        value: undefined as unknown,
        listeners,
        ask: async () => {
          entry.value = await t.query(query, args);
          listeners.forEach((told) => told());
        },
      };
      if (!watched.has(key)) {
        watched.set(key, entry);
        void entry.ask();
      }
      return {
        onUpdate: (told: () => void) => (listeners.add(told), () => listeners.delete(told)),
        localQueryResult: () => entry.value,
        journal: () => undefined,
      };
    },
    async mutation(mutation: FunctionReference<"mutation">, args: Record<string, unknown>) {
      const answer = await t.mutation(mutation, args);
      await Promise.all([...watched.values()].map(({ ask }) => ask()));
      return answer;
    },
  } as unknown as ConvexReactClient;
}

/** The page, and where it stands. */
function shown(client: ConvexReactClient) {
  const place = document.body.appendChild(document.createElement("div"));
  const root = createRoot(place);
  root.render(
    <ConvexProvider client={client}>
      <Page />
    </ConvexProvider>,
  );
  return { place, root };
}

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

test("what is saved appears in the history, and what fails does not", async () => {
  const client = clientOf(application().withIdentity({ subject: "ada" }));
  const { place, root } = shown(client);
  const until = (holds: () => void) => vi.waitFor(holds, { timeout: 60_000 });
  await until(() => expect(place.querySelector("form")).not.toBeNull());

  const field = (label: string) => place.querySelector<HTMLInputElement>(`[aria-label="${label}"]`)!;
  const submit = (label: string, value: string) => {
    field(label).value = value;
    field(label)
      .closest("form")!
      .dispatchEvent(new Event("submit", { bubbles: true, cancelable: true }));
  };
  const lines = () =>
    [...place.querySelectorAll("[aria-label=History] > li")].map((item) => item.textContent!.replace(/,.*?(?=~|$)/, ""));
  const told = (expected: string[]) => until(() => expect(lines()).toEqual(expected));

  submit("Title of a new note", "Plan");
  await told(["record.created by ada"]);
  submit("Title", "A better plan");
  await told(['record.updated by ada~ title: "Plan" → "A better plan"', "record.created by ada"]);
  submit("Title", "x".repeat(101));
  await until(() => expect(place.querySelector("[role=alert]")?.textContent).toContain("at most 100"));
  await told(['record.updated by ada~ title: "Plan" → "A better plan"', "record.created by ada"]);
  root.unmount();
});

test("how forwarding stands is shown as it changes", async () => {
  // Nobody answers, and it does not try again while this lasts.
  vi.stubEnv("SEALOG_URL", "http://sealog.invalid");
  vi.stubEnv("SEALOG_BACKOFF_MS", "600000");
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("no such host")));
  const t = application();
  const client = clientOf(t.withIdentity({ subject: "ada" }));
  const { place, root } = shown(client);
  const shows = (text: string) =>
    vi.waitFor(() => expect(place.querySelector("[role=status]")?.textContent).toContain(text), { timeout: 60_000 });
  await shows("Sealed up to nothing");
  await client.mutation(api.notes.create, { title: "Plan" });
  await shows("1 events wait to be sealed");
  await client.mutation(api.notes.create, { title: "Another" });
  await shows("2 events wait to be sealed");
  root.unmount();
});
