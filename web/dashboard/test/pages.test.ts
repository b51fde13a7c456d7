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
  await visitor.leave();
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

test("a thing is shown as it was at any version", async () => {
  const visitor = await Visitor.of(browser, app, { at: `/resources/${resource.resourceType}/${resource.resourceId}` });
  const { page } = visitor;
  const versions = page.locator(".history-list button");
  await versions.first().waitFor();
  await versions.last().click();
  await page.waitForURL(/version=/);
  const id = new URL(page.url()).searchParams.get("version")!;
  const event = await app.ask<{ after?: unknown; timestamp: number }>("GET", `/v1/events/${id}`);
  const { state } = await app.ask<{ state?: unknown }>("GET", `/v1/resources/${resource.resourceType}/${resource.resourceId}/state?at=${event.timestamp}`);
  await isLoaded(page);
  expect(JSON.parse(await page.getByLabel("Document", { exact: true }).innerText())).toEqual(event.after ?? state);
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
  for (let tabs = 0; tabs < 12 && (await focused()) !== "Events"; tabs++) {
    await press("Tab");
  }
  await press("Enter");
  await heading(page, "Events").waitFor();
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
  await page.getByRole("button", { name: /^any login/ }).click();
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
  await dialog.getByRole("button", { name: "Remove 1 event" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("region", { name: "All receipts" }).getByRole("link", { name: "Clean-up" }).first().waitFor();
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

test("each page says so when the server cannot be reached, and goes on when it can", async () => {
  const visitor = await Visitor.of(browser, app, { at: "/" });
  const { page } = visitor;
  await heading(page, "Overview").waitFor();
  await page.route("**/v1/tree*", (route) => route.abort());
  await page.getByRole("link", { name: "Integrity" }).click();
  await page.getByRole("alert").getByText("The server cannot be reached").waitFor();
  expect(await visitor.axe()).toEqual([]);
  await page.unroute("**/v1/tree*");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("Signed by").waitFor();
  await page.getByRole("region", { name: "All checkpoints" }).waitFor();
  await visitor.leave();
});
