// The dashboard as people use it: the real program, and a real browser before it.
import { gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { App, launch, Visitor } from "./app";

/** When the story of `sealog demo --once` is told. */
const DAY = "from=1772434800000&to=1772521200000";
const PAGES = [
  ["Overview", `/?${DAY}`],
  ["Events", `/events?${DAY}`],
  ["Findings", `/findings?${DAY}`],
  ["Reports", `/reports?${DAY}`],
  ["Retention", "/retention"],
  ["Integrity", "/integrity"],
  ["Settings", "/settings"],
] as const;

let browser: Browser;
let app: App;
/** A resource with several versions, and an actor of many events. */
let resource: { resourceType: string; resourceId: string };
let actor: string;

beforeAll(async () => {
  browser = await launch();
  app = await App.serve((app) => app.run("demo", "--once", "--dir", `${app.folder}/log`, "--events", "2000"));
  const rules = JSON.parse(app.run("rules", "--log", app.log, "--json")) as unknown[];
  await app.ask("PUT", "/v1/rules", { rules });
  await app.ask("POST", "/v1/holds", { filter: { outcomes: ["denied"] }, reason: "case 2026-114", owner: "legal" });
  const { events } = await app.ask<{ events: (typeof resource & { actorId: string; diff?: unknown[] })[] }>("GET", "/v1/events?q=action:record.updated&limit=500");
  const changed = events.filter(({ diff }) => diff && diff.length > 0);
  resource = changed.find((one) => changed.filter(({ resourceId }) => resourceId === one.resourceId).length > 1)!;
  actor = changed[0]!.actorId;
});

afterAll(async () => {
  await browser?.close();
  await app?.close();
});

const heading = (page: Page, name: string) => page.getByRole("heading", { level: 1, name, exact: true });
const list = (page: Page) => page.getByRole("listbox", { name: "Events, the newest first" });
const rows = (page: Page) => list(page).getByRole("option");

async function isLoaded(page: Page): Promise<void> {
  await page.locator("h1").waitFor();
  await page.waitForFunction(() => document.querySelector(".loading, .wait, .row-loading, .door-wait") === null);
}

test("whoever has a key is let in, for as long as the tab is open, and nobody else", async () => {
  const stranger = await Visitor.of(browser, { url: app.url, key: "" });
  const { page } = stranger;
  await heading(page, "Open the log").waitFor();
  expect(await stranger.axe()).toEqual([]);
  await page.getByLabel("Key").fill("sealog_0_wrong");
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByRole("alert").getByText("not valid here").waitFor();
  const writer = await app.ask<{ key: string }>("POST", "/v1/keys", { name: "w", role: "writer" });
  await page.getByLabel("Key").fill(writer.key);
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByRole("alert").getByText("may not read").waitFor();
  await page.getByLabel("Key").fill(app.key);
  await page.getByRole("button", { name: "Open" }).click();
  await heading(page, "Overview").waitFor();
  await page.reload();
  await heading(page, "Overview").waitFor();
  const kept = await page.evaluate(() => [Object.values(sessionStorage), Object.values(localStorage), document.cookie, location.href]);
  expect(kept).toEqual([[app.key], [], "", `${app.url}/`]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Open the log").waitFor();
  expect(await page.evaluate(() => Object.values(sessionStorage))).toEqual([]);
  await stranger.leave();
});

test("signing out ends the key, and whoever comes next sees what their own key shows", async () => {
  const visitor = await Visitor.of(browser, app, { at: "/?range=30d" });
  const { page } = visitor;
  await page.getByRole("list", { name: "Newest events" }).getByRole("listitem").first().waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  const { key } = await app.ask<{ key: string }>("POST", "/v1/keys", { name: "of nobody", role: "reader", scope: { tenant: "nobody" } });
  const keys = new Set<string | undefined>();
  page.on("request", (request) => request.url().includes("/v1/") && keys.add(request.headers().authorization));
  await page.getByLabel("Key").fill(key);
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByRole("link", { name: "0 events" }).waitFor();
  await page.getByText("Nothing has happened yet").waitFor();
  await page.getByRole("link", { name: "Events", exact: true }).click();
  await page.getByText("0 events").waitFor();
  expect([...keys]).toEqual([`Bearer ${key}`]);
  await visitor.leave();
});

test("a key behind the # signs in where the page is open already, and does not stay there", async () => {
  const visitor = await Visitor.of(browser, { url: app.url, key: "" }, { at: "/integrity" });
  const { page } = visitor;
  await heading(page, "Open the log").waitFor();
  await page.evaluate((key) => void (location.hash = `key=${key}`), app.key);
  await heading(page, "Integrity").waitFor();
  expect(page.url()).toBe(`${app.url}/integrity`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Key").fill("schlüssel");
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByRole("alert").getByText("This is no key").waitFor();
  await visitor.leave();
});

test("a key that is taken back ends its session, also where all is told live", async () => {
  const made = await app.ask<{ id: string; key: string }>("POST", "/v1/keys", { name: "for a while", role: "reader" });
  const visitor = await Visitor.of(browser, { url: app.url, key: made.key }, { at: `/actors/${actor}?range=all` });
  await visitor.page.getByText("What they do").waitFor();
  await isLoaded(visitor.page);
  await app.ask("DELETE", `/v1/keys/${made.id}`);
  await heading(visitor.page, "Open the log").waitFor();
  await visitor.leave();
});

for (const theme of ["light", "dark"] as const) {
  test(`each page has what it should, and axe finds nothing wrong with it, ${theme}`, async () => {
    const visitor = await Visitor.of(browser, app, { colorScheme: theme });
    const { page } = visitor;
    const places = [
      ...PAGES,
      [resource.resourceId, `/resources/${resource.resourceType}/${resource.resourceId}`] as const,
      ["Nothing here", "/resources/note"] as const,
    ];
    for (const [name, place] of places) {
      await page.goto(app.url + place);
      await heading(page, name).waitFor();
      await isLoaded(page);
      expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe(theme);
      expect.soft(await visitor.axe(), name).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is too wide`).toBe(true);
    }
    await page.goto(`${app.url}/actors/${actor}?range=all`);
    await page.getByText("What they do").waitFor();
    await isLoaded(page);
    expect.soft(await visitor.axe(), "Actor").toEqual([]);
    await page.goto(`${app.url}/events?${DAY}`);
    await rows(page).first().click();
    await page.getByRole("complementary", { name: "Event" }).getByText("same action").waitFor();
    expect.soft(await visitor.axe(), "drawer").toEqual([]);
    await visitor.leave();
  });
}

test("each page fits a small screen, and its menu works there", async () => {
  const visitor = await Visitor.of(browser, app, { viewport: { width: 360, height: 740 }, hasTouch: true });
  const { page } = visitor;
  for (const [name, place] of PAGES) {
    await page.goto(app.url + place);
    await heading(page, name).waitFor();
    await isLoaded(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), name).toBe(360);
    expect.soft(await visitor.axe(), name).toEqual([]);
  }
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("link", { name: "Events" }).click();
  await heading(page, "Events").waitFor();
  expect(await page.getByRole("navigation").isVisible()).toBe(false);
  // By keyboard too: it is over the page, so the page is out of reach.
  await page.getByRole("button", { name: "Menu" }).press("Enter");
  const reached = new Set<string>();
  for (let tabs = 0; tabs < 30; tabs++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement?.closest("nav, main, header, .skip")?.tagName ?? "BODY"));
  }
  expect(reached.has("NAV")).toBe(true);
  expect(reached.has("MAIN")).toBe(false);
  await page.keyboard.press("Escape");
  expect(await page.getByRole("navigation").isVisible()).toBe(false);
  expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Menu");
  await visitor.leave();
});

test("an event that lies over the page is all there is to reach", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/events?${DAY}`, viewport: { width: 1000, height: 800 } });
  const { page } = visitor;
  await rows(page).nth(2).click();
  const drawer = page.getByRole("dialog", { name: "Event" });
  await drawer.getByText("same action").waitFor();
  for (let tabs = 0; tabs < 30; tabs++) {
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest(".drawer") !== null)).toBe(true);
  }
  expect(await visitor.axe()).toEqual([]);
  await drawer.getByRole("button", { name: "Close event" }).press("Escape");
  await drawer.waitFor({ state: "detached" });
  expect(await list(page).evaluate((list) => document.activeElement === list && list.closest("[inert]") === null)).toBe(true);
  await visitor.leave();
});

test("whoever wants it dark is not dazzled until the script runs", async () => {
  const context = await browser.newContext({ colorScheme: "dark" });
  const page = await context.newPage();
  const colours = () =>
    page.evaluate(() => {
      const style = getComputedStyle(document.documentElement);
      const named = [...document.styleSheets].flatMap(({ cssRules }) => [...cssRules]).flatMap((rule) => (rule instanceof CSSStyleRule ? [...rule.style] : []));
      return Object.fromEntries(["color-scheme", ...named.filter((name) => name.startsWith("--"))].map((name) => [name, style.getPropertyValue(name)]));
    });
  await page.goto(app.url);
  await heading(page, "Open the log").waitFor();
  const dark = await colours();
  expect(dark).toMatchObject({ "color-scheme": "dark", "--paper": "#0e100f" });
  await page.route("**/assets/*.js", (route) => route.abort());
  await page.goto(app.url);
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBeUndefined();
  expect(await colours()).toEqual(dark);
  await context.close();
});

test("the first load is small, and comes from here alone", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const sizes: [string, number][] = [];
  const bodies: Promise<void>[] = [];
  page.on("response", (response) => {
    const { pathname } = new URL(response.url());
    if (pathname === "/" || pathname.startsWith("/assets/")) {
      bodies.push(response.body().then((body) => void sizes.push([pathname, pathname.endsWith(".woff2") ? body.length : gzipSync(body, { level: 9 }).length])));
    }
  });
  await page.goto(`${app.url}/?${DAY}#key=${app.key}`);
  await page.locator(".chart canvas").waitFor();
  await isLoaded(page);
  await Promise.all(bodies);
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  expect(total, JSON.stringify(sizes)).toBeGreaterThan(50_000);
  expect(total, JSON.stringify(sizes)).toBeLessThanOrEqual(200 * 1024);
  const script = sizes.find(([path]) => path.endsWith(".js"))![0];
  const answer = await context.request.get(app.url + script, { headers: { "accept-encoding": "br" } });
  expect(answer.headers()).toMatchObject({ "cache-control": "public, max-age=31536000, immutable", "content-encoding": "br", "x-content-type-options": "nosniff" });
  await context.close();
});

test("events are filtered by what people write, and an event tells all it knows, with its proof", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/events?${DAY}` });
  const { page } = visitor;
  await rows(page).first().waitFor();
  const bar = page.getByRole("combobox", { name: "Filter" });
  await bar.fill("actr:x");
  await bar.press("Enter");
  await page.getByRole("alert").getByText("there is no condition `actr:`").waitFor();
  await bar.fill("actio");
  await page.getByRole("option", { name: "action:" }).click();
  await page.keyboard.type("record.up");
  await page.getByRole("listbox", { name: "Suggestions" }).getByRole("option", { name: /^record.updated/ }).click();
  await page.getByRole("button", { name: "Remove action:record.updated" }).waitFor();
  expect(new URL(page.url()).searchParams.get("q")).toBe("action:record.updated");
  await page.waitForFunction(() => [...document.querySelectorAll(".rows .action")].every(({ textContent }) => textContent === "record.updated"));
  // In the middle of several values, only the one that is being written gives way.
  await bar.fill("severity:w,critical");
  for (let left = ",critical".length; left > 0; left--) {
    await bar.press("ArrowLeft");
  }
  await page.keyboard.type("a");
  await page.getByRole("listbox", { name: "Suggestions" }).getByRole("option", { name: "warning" }).click();
  expect(await bar.inputValue()).toBe("severity:warning,critical");
  await bar.fill("action:record.updated");
  await bar.press("Enter");
  await page.getByLabel("Severity").selectOption("critical");
  await page.getByText("Nothing matches").waitFor();
  await page.getByRole("button", { name: "Remove severity>=critical" }).click();
  await rows(page).first().click();
  const drawer = page.getByRole("complementary", { name: "Event" });
  await drawer.getByRole("heading", { name: "record.updated" }).waitFor();
  await drawer.getByRole("button", { name: /^Changes/ }).click();
  expect(await drawer.locator("del").count()).toBeGreaterThan(0);
  await drawer.getByRole("button", { name: "Inline" }).click();
  await drawer.locator(".diff-inline ins").first().waitFor();
  await drawer.getByRole("button", { name: "JSON" }).click();
  expect(JSON.parse(await drawer.locator("pre").innerText())).toMatchObject({ action: "record.updated" });
  await drawer.getByRole("button", { name: "Proof" }).click();
  await drawer.getByRole("button", { name: "Verify in this browser" }).click();
  await drawer.getByText("Proven: it is in the log, unchanged.").waitFor();
  expect(await visitor.axe()).toEqual([]);
  // The address says all of it: somebody else sees the same.
  const other = await Visitor.of(browser, app, { at: page.url().slice(app.url.length) });
  await other.page.getByRole("complementary", { name: "Event" }).getByRole("heading", { name: "record.updated" }).waitFor();
  await other.leave();
  await drawer.getByRole("button", { name: "Details" }).click();
  await drawer.getByText("same actor").click();
  await page.waitForURL(/q=actor%3A/);
  await page.goBack();
  expect(new URL(page.url()).searchParams.get("q")).toBe("action:record.updated");
  await visitor.leave();
});

test("a forged proof is not believed", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/events?${DAY}` });
  const { page } = visitor;
  await page.route("**/proof", async (route) => {
    const answer = await route.fetch();
    const text = await answer.text();
    await route.fulfill({ response: answer, body: text.replace(/^index (\d+)/m, (_, index) => `index ${Number(index) + 1}`) });
  });
  await rows(page).first().click();
  await page.getByRole("button", { name: "Proof" }).click();
  await page.getByRole("button", { name: "Verify in this browser" }).click();
  await page.getByRole("alert").getByText("Not proven").waitFor();
  await visitor.leave();
});

test("an event that is shown otherwise than it was sealed is not proven", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/events?${DAY}` });
  const { page } = visitor;
  await page.route("**/v1/events?*", async (route) => {
    const answer = await route.fetch();
    const told = (await answer.json()) as { events: { actorId: string }[] };
    told.events.forEach((event) => (event.actorId = "somebody-else"));
    await route.fulfill({ response: answer, json: told });
  });
  await page.reload();
  await rows(page).first().click();
  await page.getByRole("button", { name: "Proof" }).click();
  await page.getByRole("button", { name: "Verify in this browser" }).click();
  await page.getByRole("alert").getByText("what is shown here is not what was sealed: actorId").waitFor();
  await visitor.leave();
});

test("a proof is held against the key that somebody keeps, and what could not be checked is not called untrue", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/events?${DAY}` });
  const { page } = visitor;
  const { vkey } = await app.ask<{ vkey: string }>("GET", "/v1/tree");
  await rows(page).first().click();
  await page.getByRole("button", { name: "Proof" }).click();
  await page.route("**/v1/tree", (route) => route.abort());
  await page.getByRole("button", { name: "Verify in this browser" }).click();
  await page.getByRole("alert").getByText("It could not be checked").waitFor();
  await page.getByText("With the key that you keep").click();
  await page.getByRole("textbox", { name: "Key" }).fill(vkey);
  await page.getByRole("button", { name: "Verify", exact: true }).click();
  await page.getByText("It is signed by the key that you gave.").waitFor();
  await visitor.leave();
  // Over plain HTTP from elsewhere, browsers have nothing to check with, and no clipboard.
  const url = app.url.replace("127.0.0.1", "sealog.test");
  const far = await Visitor.of(browser, { url, key: app.key }, { at: `/events?${DAY}` });
  await rows(far.page).first().click();
  await far.page.getByRole("button", { name: "Copy action" }).click();
  await far.page.getByText("Could not copy").waitFor();
  await far.page.getByRole("button", { name: "Proof" }).click();
  await far.page.getByRole("button", { name: "Verify in this browser" }).click();
  await far.page.getByRole("alert").getByText("This browser cannot check it: WebCrypto is not there: browsers have it over HTTPS").waitFor();
  await far.leave();
  // One that is too old says what would do, and nothing against the event.
  const old = await Visitor.of(browser, { url: app.url, key: "" });
  await old.page.addInitScript(() => {
    crypto.subtle.importKey = () => Promise.reject(new DOMException("Algorithm: Unrecognized name", "NotSupportedError"));
  });
  await old.page.goto(`${app.url}/events?${DAY}#key=${app.key}`);
  await old.page.reload();
  await rows(old.page).first().click();
  await old.page.getByRole("button", { name: "Proof" }).click();
  await old.page.getByRole("button", { name: "Verify in this browser" }).click();
  await old.page.getByRole("alert").getByText("This browser cannot check it: Ed25519 is not known here: take Chrome 137").waitFor();
  expect(await old.page.getByText("Not proven").count()).toBe(0);
  await old.leave();
});

test("a list that could not be had is asked for again by hand, live, paused or ended", async () => {
  for (const [parts, at] of [["**/v1/events?*", `/events?${DAY}`], ["**/v1/events?*", "/events?live=off"], ["**/v1/stats?*", "/events"], ["**/v1/stats?*", `/events?${DAY}`]] as const) {
    const visitor = await Visitor.of(browser, { url: app.url, key: "" });
    const { page } = visitor;
    await page.route(parts, (route) => route.abort());
    await page.goto(`${app.url}${at}#key=${app.key}`);
    await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
    await page.unroute(parts);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator(".list-head").getByText(/^[\d,]+ events$/).waitFor();
    await rows(page).first().locator("time").waitFor();
    expect(await page.getByRole("alert").count(), at).toBe(0);
    await visitor.leave();
  }
});

test("what is shown is of the range that is chosen, also when the server is away", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/findings?${DAY}` });
  const { page } = visitor;
  await page.locator(".finding-list.wide button").first().waitFor();
  await page.route("**/v1/anomalies?*", (route) => route.abort());
  await page.getByRole("button", { name: "24 h" }).click();
  await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
  expect(await page.locator(".finding-list.wide button").count()).toBe(0);
  await page.unroute("**/v1/anomalies?*");
  await page.goto(`${app.url}/?${DAY}`);
  // What is opened from here shows the same range.
  await page.locator(".finding-list a").first().click();
  await page.getByRole("list", { name: "Evidence" }).waitFor();
  expect(new URL(page.url()).search).toContain(DAY);
  await page.goBack();
  await page.locator(".top-list a").last().click();
  await page.getByText("What they do").waitFor();
  expect(new URL(page.url()).search).toContain(DAY);
  await visitor.leave();
});

test("evidence that cannot be had is owned up to", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/findings?${DAY}` });
  const { page } = visitor;
  let away = 2;
  await page.route(/\/v1\/events\/[^/?]+$/, (route) => (away-- > 0 ? route.abort() : route.continue()));
  await page.locator(".finding-list.wide button").first().click();
  await page.getByText(/^\d+ of \d+ events could be loaded/).waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText(/could be loaded/).waitFor({ state: "detached" });
  away = Infinity;
  await page.locator(".finding > button").last().click();
  await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
  await visitor.leave();
});

test("the feed shows what happens, behind however many reads of the log", async () => {
  const reading = await App.serve((app) => (app.logsReads = true));
  await reading.ask("POST", "/v1/events", Array.from({ length: 50 }, (_, index) => ({ action: "note.made", actorId: `u${index}` })));
  // Each reads for the first time, which is an event.
  for (let reader = 0; reader < 60; reader++) {
    const { token } = await reading.ask<{ token: string }>("POST", "/v1/tokens", { scope: { tenant: "none" }, ttlMs: 60_000, subject: `reader-${reader}` });
    await fetch(`${reading.url}/v1/events`, { headers: { authorization: `Bearer ${token}` } });
  }
  const visitor = await Visitor.of(browser, reading);
  const feed = visitor.page.getByRole("list", { name: "Newest events" });
  await visitor.page.waitForFunction(() => document.querySelectorAll(".feed li").length === 40);
  expect(await feed.getByText("sealog.read").count()).toBe(0);
  await visitor.leave();
  await reading.close();
});

test("what is longer than a page goes on, and a version is found however old it is", async () => {
  const made = Array.from({ length: 250 }, (_, version) => ({
    id: `long-${version}`, action: "long.changed", actorId: "busy", resourceType: "long", resourceId: "l-1",
    before: { version: version - 1 }, after: { version }, timestamp: 1_772_434_800_000 + version * 1_000,
  }));
  await app.ask("POST", "/v1/events", made);
  const visitor = await Visitor.of(browser, app, { at: "/resources/long/l-1?version=long-3" });
  const { page } = visitor;
  // While it loads, the card is named so too.
  const version = page.locator("pre[aria-label=Document]");
  expect(JSON.parse(await version.innerText())).toEqual({ version: 3 });
  // However long the history is, only what is seen is there, and the one that the address names among it.
  const history = page.getByRole("listbox", { name: "History, the newest first" });
  await page.getByText("250 events").waitFor();
  await history.locator('[aria-posinset="247"][aria-selected="true"]').waitFor();
  expect(await history.getByRole("option").count()).toBeLessThan(60);
  await history.focus();
  await page.keyboard.press("Home");
  await history.locator('[aria-posinset="1"]').waitFor();
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await page.waitForURL(/version=long-0$/);
  await page.waitForFunction(() => document.querySelector("pre[aria-label=Document]")?.textContent?.includes('"version": 0'));
  expect(await visitor.axe()).toEqual([]);
  // What comes in above leaves in sight what is looked at.
  await app.ask("POST", "/v1/events", { id: "long-new", action: "long.changed", resourceType: "long", resourceId: "l-1", after: { version: 250 } });
  await page.getByText("251 events").waitFor();
  await history.locator('[aria-posinset="251"][aria-selected="true"]').waitFor();
  await page.goto(`${app.url}/resources/long/l-1?version=unknown`);
  await page.getByText("There is no such version").waitFor();
  await page.goto(`${app.url}/actors/busy?range=all`);
  const done = page.getByRole("listbox", { name: "Newest events" });
  await done.focus();
  await page.keyboard.press("End");
  await done.locator('[aria-posinset="250"] time').waitFor();
  expect(await done.getByRole("option").count()).toBeLessThan(60);
  await page.keyboard.press("Enter");
  await page.waitForURL(/event=long-0/);
  await page.getByRole("complementary", { name: "Event" }).getByText("same action").waitFor();
  await visitor.leave();
});

test("findings are many, and only those that are seen are there", async () => {
  const many = await App.serve();
  const HOUR = 3_600_000;
  const start = Date.now() - 100 * HOUR;
  await many.ask("PUT", "/v1/rules/each", { groupBy: "actor", threshold: 1, windowMs: 60_000 });
  const events = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => ({ action: "a.b", actorId: `u-${from + index}`, timestamp: start + (from + index) * 60_000 }));
  await many.ask("POST", "/v1/events", events(0, 400));
  const visitor = await Visitor.of(browser, many, { at: "/findings" });
  const { page } = visitor;
  const found = page.getByRole("list", { name: "Findings, the newest first" });
  const items = found.getByRole("listitem");
  const focused = () => page.evaluate(() => document.activeElement?.querySelector(".mono")?.textContent);
  await page.getByText("400 findings").waitFor();
  expect(await items.count()).toBeLessThan(60);
  // By keyboard: one of them is reached by Tab, and the others from there.
  expect(await found.locator('button[tabindex="0"]').count()).toBe(1);
  await found.locator('button[tabindex="0"]').focus();
  expect(await focused()).toBe("u-399");
  await page.keyboard.press("End");
  await page.waitForFunction(() => document.activeElement?.querySelector(".mono")?.textContent === "u-0");
  await page.keyboard.press("PageUp");
  await page.keyboard.press("ArrowDown");
  const middle = (await focused())!;
  expect(Number(middle.slice(2))).toBeGreaterThan(2);
  expect(await items.count()).toBeLessThan(60);
  await page.keyboard.press("Enter");
  await page.waitForURL(/finding=/);
  await page.getByRole("list", { name: "Evidence" }).getByRole("button").waitFor();
  expect(await visitor.axe()).toEqual([]);
  // What is found meanwhile comes in above: the focus and what is open stay where they are.
  const placeOf = () => found.locator('[aria-expanded="true"]').evaluate((button) => button.getBoundingClientRect().y);
  const place = await placeOf();
  await many.ask("POST", "/v1/events", events(400, 5));
  await page.getByText("405 findings").waitFor();
  expect(await focused()).toBe(middle);
  expect(Math.abs((await placeOf()) - place)).toBeLessThan(2);
  // However far it is scrolled away, the focus is kept, and what was open is still.
  await found.evaluate((list) => list.scrollTo(0, 0));
  await found.locator('[aria-posinset="1"]').waitFor();
  expect(await focused()).toBe(middle);
  // An event of the evidence lies over all of the page, and not in the list.
  await page.reload();
  await page.getByRole("list", { name: "Evidence" }).getByRole("button").click();
  const drawer = page.getByRole("complementary", { name: "Event" });
  await drawer.getByText("same action").waitFor();
  expect(await drawer.evaluate((drawer) => drawer.getBoundingClientRect().height === innerHeight)).toBe(true);
  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "detached" });
  expect(await found.locator('[aria-expanded="true"] .mono').innerText()).toBe(middle);
  await visitor.leave();
  await many.close();
});

test("keys are many, and only those that are seen are there", async () => {
  const many = await App.serve();
  for (let made = 0; made < 150; made++) {
    await many.ask("POST", "/v1/keys", { name: `k-${made}`, role: "writer" });
  }
  const visitor = await Visitor.of(browser, many, { at: "/settings" });
  const { page } = visitor;
  const table = page.getByRole("table", { name: "All keys" });
  await table.getByRole("row", { name: /^k-149 / }).waitFor();
  expect(await table.getAttribute("aria-rowcount")).toBe("152");
  expect(await table.getByRole("row").count()).toBeLessThan(60);
  // Tab goes through all of them.
  await table.getByRole("button", { name: "Rotate k-149" }).focus();
  for (let tabs = 0; tabs < 80; tabs++) {
    await page.keyboard.press("Tab");
  }
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Rotate k-109");
  expect(await table.getByRole("row").count()).toBeLessThan(60);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Rotate k-109?" }).getByRole("button", { name: "Cancel" }).click();
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Rotate k-109");
  expect(await visitor.axe()).toEqual([]);
  await visitor.leave();
  await many.close();
});

test("a thing is shown as it was at any version", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/resources/${resource.resourceType}/${resource.resourceId}` });
  const { page } = visitor;
  const versions = page.getByRole("listbox", { name: "History, the newest first" }).getByRole("option");
  await versions.first().waitFor();
  await versions.last().click();
  await page.waitForURL(/version=/);
  const id = new URL(page.url()).searchParams.get("version")!;
  const event = await app.ask<{ after?: unknown; timestamp: number }>("GET", `/v1/events/${id}`);
  const { state } = await app.ask<{ state?: unknown }>("GET", `/v1/resources/${resource.resourceType}/${resource.resourceId}/state?at=${event.timestamp}`);
  await isLoaded(page);
  expect(JSON.parse(await page.locator("pre[aria-label=Document]").innerText())).toEqual(event.after ?? state);
  await visitor.leave();
});

test("what one logs, two see as it happens, also after the server was killed and started again", async () => {
  const live = await App.serve();
  const ada = await Visitor.of(browser, live, { at: "/events" });
  const eve = await Visitor.of(browser, live, { at: "/" });
  await ada.page.getByText("Live", { exact: true }).first().waitFor();
  const feed = eve.page.getByRole("list", { name: "Newest events" });
  const log = (action: string) => live.ask("POST", "/v1/events", { action, actorId: "ada", id: action });
  await log("first.happened");
  await ada.page.getByRole("option", { name: /first\.happened/ }).waitFor();
  await feed.getByText("first.happened").waitFor();
  await live.kill();
  await ada.page.locator(".line.reconnecting").first().waitFor();
  await live.start();
  await log("second.happened");
  await ada.page.getByRole("option", { name: /second\.happened/ }).waitFor();
  await feed.getByText("second.happened").waitFor();
  await ada.page.locator(".line.live").first().waitFor();
  for (const action of ["first.happened", "second.happened"]) {
    expect(await ada.page.getByRole("option", { name: new RegExp(action) }).count()).toBe(1);
  }
  // What is paused stays as it is.
  await ada.page.getByRole("button", { name: "Live" }).click();
  await ada.page.getByRole("button", { name: "Paused" }).waitFor();
  await log("third.happened");
  await feed.getByText("third.happened").waitFor();
  expect(await ada.page.getByRole("option", { name: /third\.happened/ }).count()).toBe(0);
  await ada.page.getByRole("button", { name: "Paused" }).click();
  await ada.page.getByRole("option", { name: /third\.happened/ }).waitFor();
  await ada.leave();
  await eve.leave();
  await live.close();
});

test("all of it can be done by keyboard", async () => {
  const visitor = await Visitor.of(browser, { url: app.url, key: "" });
  const { page } = visitor;
  const press = async (...keys: string[]) => {
    for (const key of keys) {
      await page.keyboard.press(key);
    }
  };
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
  await heading(page, "Open the log").waitFor();
  await page.keyboard.type(app.key);
  await press("Enter");
  await heading(page, "Overview").waitFor();
  await press("Tab");
  expect(await focused()).toBe("Skip to content");
  /** Goes there by Tab alone. */
  const tabTo = async (name: string | RegExp, key = "Tab") => {
    for (let tabs = 0; tabs < 60; tabs++) {
      const now = await focused();
      if (typeof name === "string" ? now === name : name.test(now)) {
        return;
      }
      await press(key);
    }
    throw new Error(`${String(name)} is not reached by ${key}`);
  };
  /** Goes to a page by its link; whoever does is on its name then. */
  const goTo = async (name: string, key = "Shift+Tab") => {
    await tabTo(name, key);
    await press("Enter");
    await heading(page, name).waitFor();
    await page.waitForFunction((name) => document.activeElement?.tagName === "H1" && document.activeElement.textContent === name, name);
    await isLoaded(page);
  };
  await goTo("Events", "Tab");
  await goTo("Findings");
  await tabTo("All", "Shift+Tab").catch(() => tabTo("All"));
  await press("Enter");
  await page.locator(".finding-list.wide button").first().waitFor();
  await tabTo(/ago$/);
  await press("Enter");
  await page.getByRole("list", { name: "Evidence" }).getByRole("button").first().waitFor();
  await tabTo("What happened around it");
  await press("Tab", "Tab", "Enter");
  await page.getByRole("complementary", { name: "Event" }).getByText("same action").waitFor();
  await press("Escape");
  await page.getByRole("complementary", { name: "Event" }).waitFor({ state: "detached" });
  await goTo("Reports");
  await tabTo("All");
  await press("Enter");
  await isLoaded(page);
  await tabTo(/^Download [\d,]+ events$/);
  const [download] = await Promise.all([page.waitForEvent("download"), press("Enter")]);
  expect(download.suggestedFilename()).toBe("sealog-report.html");
  await goTo("Retention");
  await tabTo("Place a hold");
  await press("Enter");
  await page.getByRole("dialog", { name: "Place a hold" }).waitFor();
  await press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await focused()).toBe("Place a hold");
  await goTo("Integrity");
  await tabTo("Verify");
  await press("Enter");
  await page.getByText("Nothing was changed").waitFor();
  await page.goto(`${app.url}/events?${DAY}`);
  await rows(page).first().waitFor();
  await press("/");
  expect(await focused()).toBe("Filter");
  await page.keyboard.type("out");
  await page.getByRole("option", { name: "outcome:" }).waitFor();
  await press("ArrowDown", "Enter");
  await page.getByRole("listbox", { name: "Suggestions" }).getByRole("option", { name: "denied" }).waitFor();
  await press("ArrowDown", "ArrowDown", "ArrowDown", "Enter");
  await page.waitForURL(/q=outcome%3Adenied/);
  await isLoaded(page);
  await list(page).focus();
  await press("ArrowDown", "j", "End", "Home", "ArrowDown", "Enter");
  const drawer = page.getByRole("complementary", { name: "Event" });
  await drawer.getByText("same action").waitFor();
  const opened = new URL(page.url()).searchParams.get("event");
  await press("j");
  await page.waitForFunction((opened) => new URL(location.href).searchParams.get("event") !== opened, opened);
  await press("Escape");
  await drawer.waitFor({ state: "detached" });
  expect(await focused()).toBe("Events, the newest first");
  await page.goto(`${app.url}/settings`);
  await page.getByRole("button", { name: "New key" }).focus();
  await press("Enter");
  await page.getByRole("dialog", { name: "New key" }).waitFor();
  await press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  expect(await focused()).toBe("New key");
  await visitor.leave();
});

test("rules are tried, saved and taken back", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/findings?${DAY}` });
  const { page } = visitor;
  await page.getByRole("button", { name: "New rule" }).click();
  const dialog = page.getByRole("dialog", { name: "New rule" });
  await dialog.getByLabel("Name").fill("any-login");
  await dialog.getByLabel("Which events").fill("action:user.login");
  await dialog.getByLabel("How many").fill("1");
  await dialog.getByRole("button", { name: "Test" }).click();
  await dialog.getByText(/findings? in [\d,]+ events?/).waitFor();
  expect(await visitor.axe()).toEqual([]);
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("button", { name: /^any login 1 within/ }).click();
  const finding = page.locator(".finding-list.wide button").first();
  await finding.click();
  await page.getByRole("list", { name: "Evidence" }).getByText("user.login").first().waitFor();
  await page.getByRole("button", { name: "Back-test any-login" }).click();
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("button", { name: "Back-test any-login" }).waitFor({ state: "detached" });
  await visitor.leave();
});

test("a report is downloaded, and the log vouches for it", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/reports?${DAY}&format=csv&q=action:user.login` });
  const { page } = visitor;
  const button = page.getByRole("button", { name: /^Download [\d,]+ event/ });
  await button.waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
  expect(download.suggestedFilename()).toBe("sealog-report.csv");
  const text = await (await import("node:fs/promises")).readFile(await download.path(), "utf8");
  expect(text.split("\r\n")[0]).toBe("time,action,actorId,resourceType,resourceId,severity,outcome");
  await page.getByText("Its SHA-256 is in the log").waitFor();
  await visitor.leave();
});

test("what was kept long enough goes after a preview, and leaves a receipt", async () => {
  const visitor = await Visitor.of(browser, app, { at: "/retention" });
  const { page } = visitor;
  await page.getByText("case 2026-114").waitFor();
  await page.getByRole("button", { name: "Preview a clean-up" }).click();
  const dialog = page.getByRole("dialog", { name: "Clean-up" });
  await dialog.getByLabel("At least so many days old").fill("0");
  await dialog.getByLabel("Of this category alone").fill("short-lived");
  await app.ask("POST", "/v1/events", { action: "debug.trace", retentionCategory: "short-lived", id: "trace" });
  await dialog.getByRole("button", { name: "Preview" }).click();
  await dialog.getByText("1 event would go").waitFor();
  expect(await visitor.axe()).toEqual([]);
  // What was previewed is what is removed: anything else is previewed first.
  await dialog.getByLabel("Of this category alone").fill("short");
  expect(await dialog.getByRole("button", { name: "Remove" }).count()).toBe(0);
  await dialog.getByLabel("Of this category alone").fill("short-lived");
  await dialog.getByRole("button", { name: "Preview" }).click();
  await dialog.getByRole("button", { name: "Remove 1 event" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("region", { name: "Newest receipts" }).getByRole("link", { name: "Clean-up" }).first().waitFor();
  expect(app.run("search", "--log", app.log, "action:debug.trace", "--json")).toBe("");
  await page.getByRole("button", { name: "Place a hold" }).click();
  await page.getByLabel("Which events").fill("actor:u-17");
  await page.getByLabel("Why").fill("case 9");
  await page.getByRole("button", { name: "Place the hold" }).click();
  await page.getByText("actor:u-17").waitFor();
  await page.getByRole("button", { name: "Lift the hold case 9" }).click();
  await page.getByLabel("Why").fill("closed");
  await page.getByRole("button", { name: "Lift it" }).click();
  await page.getByText("actor:u-17").waitFor({ state: "detached" });
  await visitor.leave();
});

test("somebody is erased after a preview, and leaves a receipt that does not name them", async () => {
  await app.ask("POST", "/v1/events", [1, 2].map((one) => ({ action: "profile.viewed", actorId: "u-forgotten", id: `forgotten-${one}` })));
  const visitor = await Visitor.of(browser, app, { at: "/retention" });
  const { page } = visitor;
  await page.getByRole("button", { name: "Erase somebody" }).click();
  const dialog = page.getByRole("dialog", { name: "Erase somebody’s data" });
  await dialog.getByLabel("Which one").fill("u-forgotten");
  await dialog.getByLabel("Why").fill("gdpr-23");
  await dialog.getByRole("button", { name: "Preview" }).click();
  await dialog.getByText("2 events would go").waitFor();
  expect(app.run("search", "--log", app.log, "actor:u-forgotten", "--json")).not.toBe("");
  expect(await visitor.axe()).toEqual([]);
  await dialog.getByRole("button", { name: "Erase for good" }).click();
  await dialog.waitFor({ state: "detached" });
  const receipt = page.getByRole("region", { name: "Newest receipts" }).getByRole("row").filter({ hasText: "gdpr-23" });
  await receipt.getByRole("link", { name: "Erasure" }).waitFor();
  expect(await receipt.innerText()).not.toContain("u-forgotten");
  expect(app.run("search", "--log", app.log, "actor:u-forgotten", "--json")).toBe("");
  await visitor.leave();
});

test("witnesses tell what they have signed, and which has not yet", async () => {
  const visitor = await Visitor.of(browser, { url: app.url, key: "" });
  const { page } = visitor;
  await page.route("**/v1/tree", async (route) => {
    const answer = await route.fetch();
    const tree = (await answer.json()) as Record<string, unknown>;
    await route.fulfill({ response: answer, json: { ...tree, witnesses: [{ name: "first.example", size: 17, signedAt: Date.now() - 60_000 }, { name: "second.example" }] } });
  });
  await page.goto(`${app.url}/integrity#key=${app.key}`);
  const witness = (name: string) => page.getByRole("listitem").filter({ hasText: name });
  await witness("first.example").getByText(/signed 17, 1 min ago/).waitFor();
  await witness("second.example").getByText("has not signed yet").waitFor();
  await visitor.leave();
});

test("the whole log is verified, and held against a key that is kept elsewhere", async () => {
  const visitor = await Visitor.of(browser, app, { at: "/integrity" });
  const { page } = visitor;
  const { vkey } = await app.ask<{ vkey: string }>("GET", "/v1/tree");
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("Nothing was changed").waitFor();
  await page.getByText("It is consistent with itself").waitFor();
  await page.getByText("Hold it against what you keep elsewhere").click();
  await page.getByRole("textbox", { name: "Key" }).fill(vkey);
  await page.getByRole("button", { name: "Verify again" }).click();
  await page.getByText("It is signed by the key that you gave.").waitFor();
  await visitor.leave();
});

test("a key is shown once and is over when it is taken back", async () => {
  const visitor = await Visitor.of(browser, app, { at: "/settings" });
  const { page } = visitor;
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name").fill("for ada");
  await page.getByLabel("Role").selectOption("reader");
  await page.getByRole("dialog").getByLabel("Scope").fill("tenant:acme");
  await page.getByRole("button", { name: "Make the key" }).click();
  const shown = page.getByRole("dialog", { name: "The key for ada" });
  const key = await shown.locator("code").innerText();
  await shown.getByRole("button", { name: "I have it" }).click();
  expect(await page.content()).not.toContain(key);
  // Whoever has it sees a part of the log, and the dashboard says so.
  const part = await Visitor.of(browser, { url: app.url, key }, { at: "/settings" });
  await part.page.getByText("Only administrators see keys").waitFor();
  await part.page.goto(`${app.url}/events?range=all`);
  await rows(part.page).first().click();
  await part.page.getByText("same tenant").waitFor();
  expect(await part.page.locator(".fields").getByText("acme", { exact: true }).count()).toBeGreaterThan(0);
  await page.getByRole("button", { name: "Take back for ada" }).click();
  await page.getByRole("button", { name: "Take it back" }).click();
  await page.getByText("taken back").waitFor();
  await part.page.reload();
  await heading(part.page, "Open the log").waitFor();
  await part.leave();

  await page.getByLabel("Field", { exact: true }).fill("nickname");
  await page.getByRole("button", { name: "Hide it" }).click();
  await page.getByText("nickname", { exact: true }).waitFor();
  await app.ask("POST", "/v1/events", { action: "x.y", metadata: { nickname: "zoe" }, id: "hidden" });
  expect(await app.ask("GET", "/v1/events/hidden")).toMatchObject({ metadata: { nickname: "[REDACTED]" } });
  await page.getByLabel("Scope").fill("tenant:acme");
  await page.getByRole("button", { name: "Mint" }).click();
  await page.locator(".secret code").waitFor();
  await page.getByLabel("Kept, in per cent").fill("50");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  expect(await app.ask("GET", "/v1/settings")).toMatchObject({ policy: { sampling: 0.5 } });
  await app.ask("PATCH", "/v1/settings", { policy: { sampling: 1 } });
  await visitor.leave();
});

test("a window stays while somebody works in it, and a secret until it is taken", async () => {
  const visitor = await Visitor.of(browser, app, { at: "/settings" });
  const { page } = visitor;
  await page.getByRole("button", { name: "New key" }).click();
  const dialog = page.getByRole("dialog", { name: "New key" });
  const name = dialog.getByLabel("Name");
  await name.fill("kept");
  // Text is selected, and the button let go beside the window.
  const box = (await name.boundingBox())!;
  await page.mouse.move(box.x + 60, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(20, 20);
  await page.mouse.up();
  expect(await dialog.isVisible()).toBe(true);
  await dialog.getByRole("button", { name: "Make the key" }).click();
  const secret = page.getByRole("dialog", { name: "The key kept" });
  await secret.waitFor();
  await page.mouse.click(20, 20);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  expect(await secret.locator("code").isVisible()).toBe(true);
  expect(await visitor.axe()).toEqual([]);
  await secret.getByRole("button", { name: "I have it" }).click();
  await secret.waitFor({ state: "detached" });
  // Beside any other window, a click closes it.
  await page.getByRole("button", { name: "New key" }).click();
  await dialog.waitFor();
  await page.mouse.click(20, 20);
  await dialog.waitFor({ state: "detached" });
  await visitor.leave();
});

test("what another administrator has set meanwhile stays", async () => {
  await app.ask("PATCH", "/v1/settings", { policy: { sampling: 0.29, redactFields: [{ name: "first", mode: "mask" }] } });
  const visitor = await Visitor.of(browser, app, { at: "/settings" });
  const { page } = visitor;
  const share = page.getByLabel("Kept, in per cent");
  await share.waitFor();
  expect(await share.inputValue()).toBe("29");
  const fields = async () => (await app.ask<{ policy: { redactFields: { name: string }[] } }>("GET", "/v1/settings")).policy.redactFields.map(({ name }) => name);
  await app.ask("PATCH", "/v1/settings", { policy: { redactFields: [{ name: "first", mode: "mask" }, { name: "second", mode: "hash" }] } });
  await share.fill("30");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  expect(await fields()).toEqual(["first", "second"]);
  await app.ask("PATCH", "/v1/settings", { policy: { redactFields: [{ name: "first", mode: "mask" }, { name: "second", mode: "hash" }, { name: "third" }] } });
  await page.getByLabel("Field", { exact: true }).fill("fourth");
  await page.route("**/v1/settings", (route) => (route.request().method() === "PATCH" ? route.abort() : route.continue()));
  await page.getByRole("button", { name: "Hide it" }).click();
  await page.getByRole("alert").waitFor();
  // What was written is still there to be sent again.
  expect(await page.getByLabel("Field", { exact: true }).inputValue()).toBe("fourth");
  await page.unroute("**/v1/settings");
  await page.getByRole("button", { name: "Hide it" }).click();
  await page.getByText("third", { exact: true }).waitFor();
  expect(await fields()).toEqual(["first", "second", "third", "fourth"]);
  await page.getByRole("button", { name: "Hide second no more" }).click();
  await page.getByRole("dialog", { name: "Hide second no more?" }).getByRole("button", { name: "Hide it no more" }).click();
  await page.getByText("second", { exact: true }).waitFor({ state: "detached" });
  expect(await fields()).toEqual(["first", "third", "fourth"]);
  await app.ask("PATCH", "/v1/settings", { policy: null });
  await visitor.leave();
});

test("how long events are kept is changed setting by setting", async () => {
  const kept = async () => {
    const { defaultRetentionDays, criticalRetentionDays, customRetention } = await app.ask<Record<string, unknown>>("GET", "/v1/settings");
    return { defaultRetentionDays, criticalRetentionDays, customRetention };
  };
  const before = await kept();
  await app.ask("PATCH", "/v1/settings", { customRetention: [{ category: "debug", retentionDays: 7 }] });
  const visitor = await Visitor.of(browser, app, { at: "/retention" });
  const { page } = visitor;
  await page.getByRole("button", { name: "Change" }).click();
  const dialog = page.getByRole("dialog", { name: "How long events are kept" });
  await dialog.getByLabel("Most events").fill("45");
  await dialog.getByRole("button", { name: "Another category" }).click();
  await dialog.getByLabel("Category", { exact: true }).last().fill("billing");
  // Meanwhile somebody else sets what is not touched here.
  await app.ask("PATCH", "/v1/settings", { criticalRetentionDays: "forever", customRetention: [{ category: "debug", retentionDays: 3 }, { category: "legal", retentionDays: null }] });
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("45 days").waitFor();
  expect(await kept()).toEqual({
    defaultRetentionDays: 45,
    criticalRetentionDays: null,
    customRetention: [{ category: "debug", retentionDays: 3 }, { category: "legal", retentionDays: null }, { category: "billing", retentionDays: 30 }],
  });
  await app.ask("PATCH", "/v1/settings", before);
  await visitor.leave();
});

test("a report's preview is of what the report holds, and leaving the page ends its download", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/reports?${DAY}&q=${encodeURIComponent("until:2026-03-02T10:00:00Z")}` });
  const { page } = visitor;
  const { total } = await app.ask<{ total: number }>("GET", `/v1/stats?fromTimestamp=1772434800000&toTimestamp=${Date.UTC(2026, 2, 2, 10)}`);
  await page.getByRole("button", { name: `Download ${total.toLocaleString("en-US")} events` }).waitFor();
  await page.getByRole("combobox", { name: "Filter" }).fill("until:");
  await page.keyboard.press("Enter");
  await page.getByText("No preview").waitFor();
  expect(await page.locator(".loading").count()).toBe(0);
  await page.getByRole("button", { name: "Clear filter" }).click();
  let ask!: () => void;
  const asked = new Promise<void>((resolve) => (ask = resolve));
  await page.route("**/v1/reports", () => ask());
  await page.getByRole("button", { name: /^Download [\d,]+ events/ }).click();
  await asked;
  const bar = page.getByRole("progressbar", { name: "Download" });
  await bar.waitFor();
  expect(await bar.getAttribute("aria-valuenow")).toBeNull();
  await page.getByText("it cannot be told how much is left").waitFor();
  const ended = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/v1/reports"));
  await page.getByRole("link", { name: "Integrity" }).click();
  await ended;
  await visitor.leave();
});

test("each page says so when the server cannot be reached, and goes on when it can", async () => {
  const visitor = await Visitor.of(browser, app, { at: "/" });
  const { page } = visitor;
  await heading(page, "Overview").waitFor();
  await page.route("**/v1/tree*", (route) => route.abort());
  await page.getByRole("link", { name: "Integrity" }).click();
  await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
  expect(await page.locator(".loading, .wait").count()).toBe(0);
  expect(await visitor.axe()).toEqual([]);
  await page.unroute("**/v1/tree*");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("Signed by").waitFor();
  await page.getByRole("region", { name: "All checkpoints" }).waitFor();
  await visitor.leave();
});
