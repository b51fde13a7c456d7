// Much at once: a million events to look through, a thousand more each second, and the demo.
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser } from "playwright-core";
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

test("a thousand events a second leave the page usable, and nothing of them is lost", async () => {
  const app = await App.serve();
  const visitor = await Visitor.of(browser, app, { at: "/events?q=action:crowd.*" });
  const { page } = visitor;
  const list = page.getByRole("listbox", { name: "Events, the newest first" });
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
  const shows = (least: number) =>
    page.waitForFunction((least) => Number(document.querySelector(".list-head span")?.textContent?.replace(/\D/g, "")) >= least, least);
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
  coming = false;
  const total = await sent;
  await shows(total);
  expect(await page.locator(".list-head span").first().innerText()).toContain(`${total.toLocaleString("en-US")} events`);
  await list.locator('[aria-posinset="1"]').getByText(`u${total - 1}`).first().waitFor();
  await visitor.leave();
  await app.close();
});
