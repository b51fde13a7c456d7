// Much at once: a million events to look through, a thousand more each second, and the demo.
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { App, launch, Visitor } from "./app";

const MANY = 1_000_000;

let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
});

test("a list holds a million events, and any of them is a jump away", async () => {
  const app = await App.serve((app) => {
    // As short as events can be, so that it takes a minute and not ten to write them.
    const start = Date.UTC(2026, 0, 1);
    const line = (seq: number) => `{"timestamp":${start + seq * 5_000},"action":"a${seq % 7}","actorId":"u${seq % 997}"}`;
    app.runWith(pieces(line), "log", "-", "--log", app.log, "--json");
  });
  const { total } = await app.ask<{ total: number }>("GET", "/v1/stats?q=action:a0,a1,a2,a3,a4,a5,a6");
  expect(total).toBe(MANY);
  const visitor = await Visitor.of(browser, app, { at: "/events?q=action:a0,a1,a2,a3,a4,a5,a6" });
  const { page } = visitor;
  const list = page.getByRole("listbox", { name: "Events, the newest first" });
  const row = (place: number) => list.locator(`[aria-posinset="${place}"]`);
  await page.getByText("1,000,000 events").waitFor();
  await list.focus();
  await page.keyboard.press("End");
  // The oldest of all is the one that was written first.
  await row(MANY).locator("time").waitFor();
  expect(await row(MANY).locator("time").getAttribute("datetime")).toBe("2026-01-01T00:00:00.000Z");
  await page.keyboard.press("PageUp");
  await page.waitForFunction(() => document.querySelector(".row-loading") === null);
  // In the middle, by the scroll bar.
  await list.evaluate((list) => list.scrollTo(0, list.scrollHeight / 2));
  // What the page shows is asked for in one piece: between two looks, it may have scrolled on and be loading again.
  const middle = await page.waitForFunction((least) => {
    const rows = Array.from(document.querySelectorAll(".rows [aria-posinset]"), (row) => ({
      place: Number(row.getAttribute("aria-posinset")),
      time: row.querySelector("time")?.dateTime,
    }));
    return rows.length > 5 && rows.every(({ place, time }) => place > least && time !== undefined) && rows;
  }, MANY / 3);
  for (const { place, time } of (await middle.jsonValue()) as { place: number; time: string }[]) {
    expect(time).toBe(new Date(Date.UTC(2026, 0, 1) + (MANY - place) * 5_000).toISOString());
  }
  // However long the list is, only what is seen is there.
  expect(await list.getByRole("option").count()).toBeLessThan(60);
  await page.keyboard.press("Home");
  await row(1).locator("time").waitFor();
  expect(await visitor.axe()).toEqual([]);
  await visitor.leave();
  await app.close();
}, 600_000);

function* pieces(line: (seq: number) => string): Generator<string> {
  for (let seq = 0; seq < MANY; seq += 10_000) {
    yield Array.from({ length: 10_000 }, (_, index) => `${line(seq + index)}\n`).join("");
  }
}

test("the demo goes on by itself, and what is made to happen is found", async () => {
  const app = await App.demo("--events", "500");
  const visitor = await Visitor.of(browser, app, { at: "/events" });
  const { page } = visitor;
  const panel = page.getByRole("complementary", { name: "Demo" });
  await panel.getByRole("button", { name: /^Failed logins/ }).click();
  await panel.getByText("it is happening").waitFor();
  for (const name of ["Mass deletion", "Privilege change", "Export"]) {
    await panel.getByRole("button", { name: new RegExp(`^${name}`) }).click();
    await panel.getByText(`${name}: it is happening`).waitFor();
  }
  // Who closes it by keyboard stands on what opens it, and the other way round.
  await panel.getByRole("button", { name: "Close demo panel" }).press("Enter");
  await page.waitForFunction(() => document.activeElement?.textContent === "Make something happen");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Close demo panel");
  await panel.getByRole("link", { name: "Findings" }).click();
  for (const rule of ["failed logins by actor", "failed logins by address", "mass deletion", "new administrator", "mass export"]) {
    await page.locator(".finding-list.wide b").getByText(rule, { exact: true }).first().waitFor();
  }
  expect(await visitor.axe()).toEqual([]);
  // Nobody else can make things happen.
  const answer = await page.context().request.post(`${app.url}/demo/scenes`, { data: { scene: "mass-export" } });
  expect(answer.status()).toBe(401);
  await visitor.leave();
  // Ctrl-C ends it well.
  expect(await app.kill("SIGINT")).toBe(0);
  await app.close();
});

/** Logs a thousand events each second until it is stopped, which answers how many they were. */
function crowd(app: App): { stop: () => Promise<number> } {
  let coming = true;
  const sent = (async () => {
    let sent = 0;
    for (; coming; sent += 100) {
      const tenth = sleep(100);
      await app.ask("POST", "/v1/events", Array.from({ length: 100 }, (_, index) => ({ action: `crowd.a${index % 7}`, actorId: `u${sent + index}` })));
      await tenth;
    }
    return sent;
  })();
  return { stop: () => ((coming = false), sent) };
}

/** How many frames a page draws in four seconds, and for how long of them it is deaf, in milliseconds. */
async function drawn(page: Page): Promise<{ frames: number; deaf: number }> {
  return page.evaluate(async () => {
    let deaf = 0;
    const observer = new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => (deaf += duration)));
    observer.observe({ entryTypes: ["longtask"] });
    let frames = 0;
    const began = performance.now();
    for (let now = began; now - began < 4_000; frames++) {
      now = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
    }
    observer.disconnect();
    return { frames, deaf };
  });
}

/** Of what a quiet page draws, half is far from what is felt, and far from what a busy machine makes of it. */
async function isSmooth(page: Page, quiet: { frames: number }): Promise<void> {
  const busy = await drawn(page);
  console.log("frames in four seconds, quiet and crowded", quiet.frames, busy);
  expect(busy.frames).toBeGreaterThan(quiet.frames / 2);
  expect(busy.deaf).toBeLessThan(1_000);
}

test("a thousand events a second leave the overview smooth, and its feed is what the log is", async () => {
  const app = await App.serve();
  const visitor = await Visitor.of(browser, app);
  const { page } = visitor;
  await page.locator(".feed li").first().waitFor();
  const quiet = await drawn(page);
  const { stop } = crowd(app);
  await page.waitForFunction(() => document.querySelectorAll(".feed li").length === 40);
  // Times depend on the machine, work does not: no row is made anew for those that come, and no forty of them are coloured.
  await page.evaluate(() => {
    const told = { rows: 0, texts: 0, most: 0 };
    Object.assign(window, { told });
    new MutationObserver((changes) => {
      for (const { type, addedNodes } of changes) {
        told[type === "childList" ? "rows" : "texts"] += type === "childList" ? addedNodes.length : 1;
      }
      told.most = Math.max(told.most, document.getAnimations().filter((one) => (one as CSSAnimation).animationName === "arrive").length);
    }).observe(document.querySelector(".feed")!, { childList: true, characterData: true, subtree: true });
  });
  await isSmooth(page, quiet);
  const told = await page.evaluate(() => (window as unknown as { told: { rows: number; texts: number; most: number } }).told);
  expect(told.texts, "the feed goes on").toBeGreaterThan(100);
  expect(told.rows).toBeLessThan(told.texts / 10);
  expect(told.most).toBeLessThanOrEqual(8);
  const total = await stop();
  const feed = page.getByRole("list", { name: "Newest events" });
  await feed.getByText(`u${total - 1}`, { exact: true }).waitFor();
  expect(await feed.locator(".actor").allInnerTexts()).toEqual(Array.from({ length: 40 }, (_, index) => `u${total - 1 - index}`));
  // One that comes alone is shown to be new, and those before it go down by one.
  await app.ask("POST", "/v1/events", { action: "calm.again", actorId: "ada" });
  await feed.locator("li.fresh").getByText("calm.again").waitFor();
  expect((await feed.locator(".actor").allInnerTexts()).slice(0, 2)).toEqual(["ada", `u${total - 1}`]);
  await visitor.leave();
  await app.close();
});

test("a thousand events a second leave the page usable, and nothing of them is lost", async () => {
  const app = await App.serve();
  const visitor = await Visitor.of(browser, app, { at: "/events?q=action:crowd.*" });
  const { page } = visitor;
  const list = page.getByRole("listbox", { name: "Events, the newest first" });
  await page.getByText("Nothing matches").waitFor();
  const quiet = await drawn(page);
  const { stop } = crowd(app);
  const shows = (least: number) =>
    page.waitForFunction((least) => Number(document.querySelector(".list-head span")?.textContent?.replace(/\D/g, "")) >= least, least);
  await shows(2_000);
  await isSmooth(page, quiet);
  await shows(5_000);
  await list.getByRole("option").first().click();
  await page.getByRole("complementary", { name: "Event" }).getByText("same action").waitFor();
  await page.keyboard.press("Escape");
  await list.focus();
  await page.keyboard.press("PageDown");
  await page.keyboard.press("PageDown");
  await page.getByRole("button", { name: /new$/ }).click();
  expect(await list.getByRole("option").count()).toBeLessThan(60);
  // Once they stop coming, the list is what the log is.
  const total = await stop();
  await shows(total);
  expect(await page.locator(".list-head span").first().innerText()).toContain(`${total.toLocaleString("en-US")} events`);
  await list.locator('[aria-posinset="1"]').getByText(`u${total - 1}`).first().waitFor();
  await visitor.leave();
  await app.close();
});
