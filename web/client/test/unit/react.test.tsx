// @vitest-environment happy-dom
import { act, StrictMode, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import * as list from "../../src/live/list.js";
import {
  AnomalyPanel,
  AuditLogViewer,
  createAuditLogApi,
  DiffView,
  EventList,
  formatTimestamp,
  getSeverityClass,
  getSeverityColor,
  StatsPanel,
  useAnomalyDetection,
  useAuditLogByActor,
  useAuditLogByResource,
  useAuditLogQuery,
  useAuditLogSearch,
  useAuditLogStats,
  useWatchCriticalEvents,
  type AuditLogApiOptions,
  type AuditLogSearch,
} from "../../src/react/index.js";
import { problem } from "../fake.js";
import { frameText, record, snapshot, StreamServer } from "../streams.js";

vi.mock("../../src/live/list.js", { spy: true });

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let server: StreamServer;
let root: Root;
let page: HTMLElement;

beforeEach(() => {
  vi.useFakeTimers();
  server = new StreamServer();
  page = document.body.appendChild(document.createElement("div"));
  root = createRoot(page);
});

afterEach(async () => {
  await act(async () => root.unmount());
  await settle(60_000);
  // Whatever happened: nobody looks any more, so nothing is asked and no timer runs.
  expect(server.open).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  page.remove();
  vi.useRealTimers();
  setHidden(false);
});

function makeApi(options: Partial<AuditLogApiOptions> = {}) {
  return createAuditLogApi({ url: "http://log.test/audit", token: "t", environment: { fetch: server.fetch, random: () => 1 }, ...options });
}

async function show(node: ReactNode) {
  await act(async () => root.render(node));
  await settle();
}

/** Lets everything happen that happens within so many milliseconds. */
async function settle(ms = 0) {
  await act(async () => {
    await vi.advanceTimersByTimeAsync(ms);
  });
}

async function hide(isHidden: boolean) {
  await act(async () => setHidden(isHidden));
}

function setHidden(isHidden: boolean) {
  Object.defineProperty(document, "visibilityState", { value: isHidden ? "hidden" : "visible", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}

const text = () => page.textContent;

function History({ api, id = "1", limit }: { api: ReturnType<typeof makeApi>; id?: string; limit?: number }) {
  const events = useAuditLogByResource(api.queryByResource, { resourceType: "note", resourceId: id, ...(limit ? { limit } : {}) });
  return <p>{events ? events.map((event) => event.seq).join(" ") : "…"}</p>;
}

describe("hooks", () => {
  test("undefined while loading, then live, the newest first, and no more than asked for", async () => {
    const api = makeApi();
    await show(<History api={api} limit={3} />);
    expect(text()).toBe("…");
    const [stream] = server.open;
    expect(String(stream!.url)).toBe("http://log.test/audit/v1/events?limit=3&resource=note%3A1");
    expect(stream!.headers).toMatchObject({ accept: "text/event-stream", authorization: "Bearer t" });
    stream!.send("snapshot", snapshot([4, 2]), 5);
    await settle();
    expect(text()).toBe("4 2");
    stream!.send("event", record(7), 7);
    stream!.send("event", record(9), 9);
    await settle();
    expect(text()).toBe("9 7 4");
  });

  test("events that come together are put in place together", async () => {
    await show(<History api={makeApi()} />);
    const seqs = [...Array(30).keys()];
    const events = seqs.map((seq) => frameText("event", record(seq + 10), seq + 10)).join("");
    server.open[0]!.write(frameText("snapshot", snapshot([2]), 5) + events);
    vi.mocked(list.withEntries).mockClear();
    await settle();
    expect(text()).toBe([...seqs.map((seq) => seq + 10).reverse(), 2].join(" "));
    expect(list.withEntries).toHaveBeenCalledTimes(1);
  });

  test("no severity is no event, and nothing is asked", async () => {
    const api = makeApi();
    function Critical() {
      const events = useWatchCriticalEvents(api.watchCritical, { severity: [] });
      return <p>{JSON.stringify(events)}</p>;
    }
    await show(<Critical />);
    expect(text()).toBe("[]");
    expect(server.streams).toEqual([]);
  });

  test("anomalies are live", async () => {
    const api = makeApi();
    function Anomalies() {
      const anomalies = useAnomalyDetection(api.detectAnomalies, { patterns: [{ action: "a", threshold: 2, windowMinutes: 1 }] });
      return <p>{anomalies?.map(({ action, count }) => `${action} ${count}`).join() ?? "…"}</p>;
    }
    await show(<Anomalies />);
    expect(text()).toBe("…");
    const last = { id: "e", seq: 1, timestamp: 5 };
    for (const count of [2, 3]) {
      server.open[0]!.send("findings", { total: 1, findings: [{ rule: "a", count, threshold: 2, windowMs: 60_000, first: last, last, ids: ["e"] }] });
      await settle();
      expect(text()).toBe(`a ${count}`);
    }
    server.open[0]!.send("findings", { total: 0, findings: [] });
    await settle();
    expect(text()).toBe("");
  });

  test("all who ask the same share a stream, which lives on for a moment when they go", async () => {
    const api = makeApi();
    function Same() {
      const critical = useWatchCriticalEvents(api.watchCritical);
      const same = useAuditLogQuery(api.queryBySeverity, { severity: ["error", "critical"], limit: 20 });
      return <i>{String(critical === same.data)}</i>;
    }
    await show(
      <StrictMode>
        <History api={api} />
        <History api={api} />
        <Same />
      </StrictMode>,
    );
    expect(server.streams).toHaveLength(2);
    await show(<div />);
    await settle(500);
    await show(<History api={api} />);
    expect(server.streams).toHaveLength(2);
    await settle(1_000);
    expect(server.open).toHaveLength(1);
  });

  test("other arguments are another question; times that only move on a little are not", async () => {
    const api = makeApi();
    await show(<History api={api} id="1" />);
    server.open[0]!.send("snapshot", snapshot([1]), 1);
    await settle();
    await show(<History api={api} id="2" />);
    expect(text()).toBe("…");
    await settle(2_000);
    expect(server.open.map(({ url }) => url.searchParams.get("resource"))).toEqual(["note:2"]);

    function Stats() {
      const stats = useAuditLogStats(api.getStats, { fromTimestamp: Date.now() - 1_000 });
      return <p>{stats ? stats.totalCount : "…"}</p>;
    }
    await show(<Stats />);
    const before = server.streams.length;
    for (let count = 0; count < 4; count++) {
      await settle(10_000);
      await show(<Stats />);
    }
    expect(server.streams).toHaveLength(before);
    const bySeverity = { info: 0, warning: 0, error: 0, critical: 0 };
    server.open[0]!.send("stats", { total: 0, bySeverity, topActions: [], topActors: [], bucketMs: 1, series: [] });
    await settle(30_000);
    await show(<Stats />);
    expect(server.streams).toHaveLength(before + 1);
  });

  test("when times move on with the clock, the answer before is shown until there is another; other times are another question", async () => {
    const api = makeApi();
    const bySeverity = { info: 0, warning: 0, error: 0, critical: 0 };
    const stats = (total: number) => ({ total, bySeverity, topActions: [], topActors: [], bucketMs: 1, series: [] });
    const seen: string[] = [];
    function Stats({ hours }: { hours: number }) {
      const { data, status } = useAuditLogQuery(api.getStats, { fromTimestamp: Date.now() - hours * 3_600_000 });
      seen.push(`${status} ${data?.totalCount ?? "…"}`);
      return null;
    }
    const seenSince = () => [...new Set(seen.splice(0))];
    await show(<Stats hours={1} />);
    server.open[0]!.send("stats", stats(5));
    await settle();
    expect(seenSince()).toEqual(["loading …", "live 5"]);
    await settle(31_000);
    server.open[0]!.write(": still here\n\n");
    await settle(30_000);
    await show(<Stats hours={1} />);
    await settle(5_000);
    expect(seenSince()).toEqual(["live 5", "loading 5"]);
    expect(server.open).toHaveLength(1);
    server.open[0]!.send("stats", stats(6));
    await settle();
    expect(seenSince()).toEqual(["live 6"]);
    await show(<Stats hours={24} />);
    expect(seenSince()).toEqual(["loading …"]);
  });

  test("a search whose times moved on loads no page behind those of the search before", async () => {
    const api = makeApi();
    let search!: AuditLogSearch;
    function Search() {
      search = useAuditLogSearch(api.search, { filters: { fromTimestamp: Date.now() - 1_000 } });
      return null;
    }
    await show(<Search />);
    server.open[0]!.send("snapshot", snapshot([8], { hasMore: true, nextCursor: "c" }), 9);
    await settle(61_000);
    await show(<Search />);
    expect(search).toMatchObject({ status: "loading", events: [{ seq: 8 }] });
    server.answer = () => problem(500, "internal");
    await act(async () => search.loadMore());
    expect(search).toMatchObject({ isLoadingMore: false, error: undefined });
  });

  test("skip asks nothing", async () => {
    const api = makeApi();
    function Skipping() {
      return <p>{String(useAuditLogByActor(api.queryByActor, "skip"))}</p>;
    }
    await show(<Skipping />);
    expect(text()).toBe("undefined");
    expect(server.streams).toEqual([]);
  });

  test("on a server it renders what is known there: nothing yet, and asks nothing", () => {
    expect(renderToString(<History api={makeApi()} />)).toBe("<p>…</p>");
    expect(server.streams).toEqual([]);
  });

  test("when the line breaks, it shows what it knows, says so, and goes on behind the last event", async () => {
    const api = makeApi();
    function Status() {
      const { data, status, error } = useAuditLogQuery(api.queryByResource, { resourceType: "note", resourceId: "1" });
      return <p>{`${status} ${error?.code ?? ""} ${data?.map(({ seq }) => seq).join(" ") ?? ""}`}</p>;
    }
    await show(<Status />);
    expect(text()).toBe("loading  ");
    server.open[0]!.send("snapshot", snapshot([1]), 3);
    await settle();
    expect(text()).toBe("live  1");
    server.open[0]!.fail();
    await settle();
    expect(text()).toBe("reconnecting network 1");
    await settle(1_000);
    expect(text()).toBe("live  1");
    expect(server.open[0]!.headers).toMatchObject({ "last-event-id": "3" });
    server.open[0]!.send("event", record(3), 3);
    server.open[0]!.send("event", record(4), 4);
    await settle();
    expect(text()).toBe("live  4 1");
    server.open[0]!.send("stop", { reason: "shutdown" });
    await settle();
    expect(text()).toBe("reconnecting stopping 4 1");
    await settle(2_000);
    // Silence is a broken line as well.
    await settle(45_000);
    expect(text()).toBe("reconnecting timeout 4 1");
  });

  test("a hidden tab pauses; seen again it goes on, or begins anew when it was away for long", async () => {
    const api = makeApi();
    await show(<History api={api} />);
    server.open[0]!.send("snapshot", snapshot([1]), 1);
    await settle();
    await hide(true);
    await settle(4_000);
    await hide(false);
    await hide(true);
    await settle(4_999);
    expect(server.open).toHaveLength(1);
    await settle(1);
    expect(server.open).toHaveLength(0);
    await settle(600_000);
    expect(server.streams).toHaveLength(1);
    await hide(false);
    await settle();
    expect(server.open[0]!.headers).not.toHaveProperty("last-event-id");
    server.open[0]!.send("snapshot", snapshot([9]), 9);
    await settle();
    expect(text()).toBe("9");
    await hide(true);
    await settle(20_000);
    await hide(false);
    await settle();
    expect(server.open[0]!.headers).toMatchObject({ "last-event-id": "9" });
  });

  test("a tab that was opened hidden asks nothing until it is seen", async () => {
    await hide(true);
    await show(<History api={makeApi()} />);
    expect(server.streams).toEqual([]);
    await hide(false);
    await settle();
    expect(server.open).toHaveLength(1);
  });

  test("a token is had by the callback, once for all, and again when it ends", async () => {
    const token = vi.fn(async () => `token-${token.mock.calls.length}`);
    const api = makeApi({ token });
    await show(
      <>
        <History api={api} id="1" />
        <History api={api} id="2" />
      </>,
    );
    expect(token).toHaveBeenCalledTimes(1);
    for (const stream of server.open) {
      stream.send("snapshot", snapshot([1]), 1);
    }
    await settle(10_000);
    server.open[0]!.send("stop", { reason: "expired" });
    await settle();
    expect(server.open.map(({ headers }) => headers.authorization)).toEqual(["Bearer token-1", "Bearer token-2"]);
    expect(text()).toBe("11");
    // The one that is refused later takes what the other one had renewed.
    server.open[0]!.send("stop", { reason: "expired" });
    await settle();
    expect(server.open.map(({ headers }) => headers.authorization)).toEqual(["Bearer token-2", "Bearer token-2"]);
  });

  test("a token that is never taken is given up, and tried again by hand", async () => {
    server.answer = () => problem(401, "unauthenticated");
    const token = vi.fn(() => "bad");
    const api = makeApi({ token });
    let retry = () => {};
    function Status() {
      const result = useAuditLogQuery(api.search, {});
      retry = result.retry;
      return <p>{`${result.status} ${result.error?.code}`}</p>;
    }
    await show(<Status />);
    await settle(600_000);
    expect(text()).toBe("failed unauthenticated");
    expect(token).toHaveBeenCalledTimes(3);
    server.answer = () => undefined;
    await act(async () => retry());
    await settle();
    expect(server.open).toHaveLength(1);
  });

  test("a callback that fails is asked again after a while", async () => {
    const token = vi.fn(async (): Promise<string> => {
      if (token.mock.calls.length < 3) {
        throw new Error("offline");
      }
      return "t";
    });
    await show(<History api={makeApi({ token })} />);
    await settle(10_000);
    expect(server.open).toHaveLength(1);
  });

  test("a server that answers wrongly is asked ever more slowly, and a frame that cannot be read begins anew", async () => {
    let count = 0;
    server.answer = () => (count++, new Response("<p>Sign in</p>", { headers: { "content-type": "text/html" } }));
    const api = makeApi();
    await show(<History api={api} />);
    await settle(600_000);
    expect(count).toBeLessThan(30);
    server.answer = () => undefined;
    await settle(30_000);
    server.open[0]!.send("snapshot", snapshot([1]), 1);
    await settle();
    server.open[0]!.send("event", { no: "event" }, 2);
    await settle(60_000);
    expect(text()).toBe("1");
    expect(server.open[0]!.headers).not.toHaveProperty("last-event-id");
  });
});

describe("search", () => {
  test("pages behind, events before, each once", async () => {
    const api = makeApi();
    let search!: AuditLogSearch;
    function Search() {
      search = useAuditLogSearch(api.search, { filters: { q: "a" }, pageSize: 2 });
      return <p>{search.events?.map(({ seq }) => seq).join(" ") ?? "…"}</p>;
    }
    await show(<Search />);
    server.open[0]!.send("snapshot", snapshot([8, 7], { hasMore: true, nextCursor: "c-7" }), 9);
    await settle();
    expect(search).toMatchObject({ hasMore: true, isLoadingMore: false, status: "live" });
    const asked: string[] = [];
    server.answer = (url) => {
      asked.push(url.search);
      return Response.json({ events: [record(6), record(7)], hasMore: false });
    };
    await act(async () => {
      search.loadMore();
      search.loadMore();
    });
    server.open[0]!.send("event", record(10), 10);
    await settle();
    expect(asked).toEqual(["?limit=2&q=a&cursor=c-7"]);
    expect(text()).toBe("10 8 7 6");
    expect(search).toMatchObject({ hasMore: false, isLoadingMore: false });
    await act(async () => search.loadMore());
    expect(asked).toHaveLength(1);
  });

  test("a page that cannot be had leaves the others, and can be asked for again", async () => {
    const api = makeApi();
    let search!: AuditLogSearch;
    function Search() {
      search = useAuditLogSearch(api.search);
      return null;
    }
    await show(<Search />);
    server.open[0]!.send("snapshot", snapshot([8], { hasMore: true, nextCursor: "c" }), 9);
    await settle();
    server.answer = () => problem(503, "timed_out");
    await act(async () => search.loadMore());
    await settle();
    expect(search).toMatchObject({ hasMore: true, isLoadingMore: false, error: { code: "timed_out" } });
    server.answer = () => Response.json({ events: [record(1)], hasMore: false });
    await act(async () => search.loadMore());
    await settle();
    expect(search.events?.map(({ seq }) => seq)).toEqual([8, 1]);
    expect(search.error).toBeUndefined();
  });
});

describe("components", () => {
  test("a viewer shows, searches and loads more", async () => {
    await show(<AuditLogViewer api={makeApi()} filters={{ tenant: "acme" }} pageSize={1} className="mine" />);
    expect(page.querySelector("[role=status]")!.textContent).toBe("Loading…");
    const diff = [{ op: "replace", path: "/user/name", old: "a", value: "<b>" }];
    const events = [record(3, { actorId: "u-1", actorName: "Ada", resourceType: "note", resourceId: "7", outcome: "denied", severity: "critical", diff })];
    server.open[0]!.send("snapshot", { events, hasMore: true, nextCursor: "c" }, 3);
    await settle();
    const item = page.querySelector("li")!;
    expect(item.className).toBe("audit-severity-critical");
    expect(item.textContent).toContain("action.3 denied Ada note/7");
    expect(item.querySelector("dt")!.textContent).toBe("user.name changed");
    expect(item.querySelector("ins")!.textContent).toBe('"<b>"');
    expect(item.querySelector("time")!.dateTime).toBe("1970-01-01T00:00:01.003Z");
    server.answer = () => Response.json({ events: [record(1)], hasMore: false });
    await act(async () => page.querySelector<HTMLButtonElement>(".sealog-more")!.click());
    await settle();
    expect(page.querySelectorAll("li")).toHaveLength(2);
    expect(page.querySelector(".sealog-more")).toBeNull();

    server.answer = () => undefined;
    page.querySelector("input")!.value = " reset link ";
    await act(async () => page.querySelector("form")!.dispatchEvent(new Event("submit", { bubbles: true, cancelable: true })));
    await settle(2_000);
    expect(server.open.map(({ url }) => url.search)).toEqual(["?limit=1&tenant=acme&text=reset+link"]);
    server.open[0]!.send("snapshot", snapshot([]), 3);
    await settle();
    expect(page.querySelector(".sealog-empty")!.textContent).toBe("Nothing has happened yet.");
  });

  test("what cannot be shown says so, and offers to try again", async () => {
    server.answer = () => problem(403, "forbidden");
    await show(<AuditLogViewer api={makeApi()} labels={{ failed: "Geht nicht." }} />);
    expect(page.querySelector("[role=alert]")!.textContent).toBe("Geht nicht. forbidden Try again");
    server.answer = () => undefined;
    await act(async () => page.querySelector<HTMLButtonElement>("[role=alert] button")!.click());
    await settle();
    expect(server.open).toHaveLength(1);
  });

  test("statistics and anomalies", async () => {
    const api = makeApi();
    const patterns = [{ action: "user.login.failed", threshold: 5, windowMinutes: 5 }];
    await show(
      <>
        <StatsPanel api={api} />
        <AnomalyPanel api={api} patterns={patterns} />
      </>,
    );
    const [stats, findings] = server.open;
    const bySeverity = { info: 1200, warning: 0, error: 0, critical: 34 };
    stats!.send("stats", { total: 1234, bySeverity, topActions: [{ value: "a", count: 9 }], topActors: [], bucketMs: 1, series: [] });
    findings!.send("findings", { total: 0, findings: [] });
    await settle();
    expect(page.querySelector(".sealog-counts")!.textContent).toContain((1234).toLocaleString());
    expect(page.querySelector(".sealog-anomalies")!.textContent).toBe("Nothing unusual.");
    expect(JSON.parse(findings!.body!)).toMatchObject({ standing: true, rules: [{ name: "user.login.failed", windowMs: 300_000 }] });
    const last = { id: "e", seq: 1, timestamp: 5 };
    const found = { rule: "user.login.failed", count: 6, threshold: 5, windowMs: 300_000, first: last, last, ids: ["e"], group: "u-1" };
    findings!.send("findings", { total: 1, findings: [found] });
    await settle();
    expect(page.querySelector(".sealog-anomalies li")!.textContent).toContain("user.login.failed u-1 6 ≥ 5 / 5 min");
  });

  test("lists and diffs of one's own", async () => {
    const entry = { ...record(1), _id: "e-1", _creationTime: 1, severity: "info" as const };
    await show(<EventList events={[entry]} renderEvent={({ action }) => <b>{action}</b>} />);
    expect(page.querySelector("li b")!.textContent).toBe("action.1");
    await show(<DiffView event={{ changes: [{ op: "add", path: "/a", value: 1 }, { op: "remove", path: "", old: 2 }] }} />);
    expect(page.querySelector("dl")!.textContent).toBe("a added1(whole) removed2");
    await show(<DiffView event={{}} />);
    expect(page.innerHTML).toBe("");
    await show(<EventList events={[{ ...entry, timestamp: 9e15 }]} />);
    expect(page.querySelector("time")!.hasAttribute("datetime")).toBe(false);
  });

  test("classes, colors, times", () => {
    expect((["info", "warning", "error", "critical"] as const).map(getSeverityClass)).toEqual([
      "audit-severity-info",
      "audit-severity-warning",
      "audit-severity-error",
      "audit-severity-critical",
    ]);
    expect(getSeverityClass("toString" as never)).toBe("audit-severity-info");
    expect(getSeverityColor("unheard of" as never)).toBe(getSeverityColor("info"));
    expect(new Set((["info", "warning", "error", "critical"] as const).map(getSeverityColor)).size).toBe(4);
    expect(formatTimestamp(0)).toBe(new Date(0).toLocaleString());
  });
});
