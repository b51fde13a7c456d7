// Pictures of each page, compared with those that somebody has looked at: `npm run shots` makes them anew.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pixelmatch from "pixelmatch";
import type { Browser, Page } from "playwright-core";
import { PNG } from "pngjs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { App, launch, Visitor } from "./app";

const SHOTS = join(import.meta.dirname, "shots");
const WIDTHS = [360, 768, 1440];
/** How many pixels may differ, of all: fonts are drawn a little otherwise by each version of a browser. */
const TOLERANCE = 0.02;
/** The day after that of the story. */
const NOW = 1772521200000;
const DAY = "from=1772434800000&to=1772463600000";

let browser: Browser;
let app: App;
let pages: [string, string, ((page: Page) => Promise<void>)?][];

beforeAll(async () => {
  browser = await launch();
  app = await App.serve((app) => app.run("demo", "--once", "--dir", `${app.folder}/log`, "--events", "4000"));
  await app.ask("PUT", "/v1/rules", { rules: JSON.parse(app.run("rules", "--log", app.log, "--json")) as unknown });
  await app.ask("POST", "/v1/holds", { filter: { outcomes: ["denied"] }, reason: "case 2026-114", owner: "legal" });
  await app.ask("PATCH", "/v1/settings", { policy: { redactFields: [{ name: "dateOfBirth", mode: "mask" }], detectors: ["cardNumber"] } });
  await app.ask("POST", "/v1/keys", { name: "billing", role: "writer", scope: { tenant: "acme" } });
  type Told = { id: string; resourceType: string; resourceId: string; diff: unknown[] };
  const { events } = await app.ask<{ events: Told[] }>("GET", `/v1/events?q=action:record.updated&limit=200&fromTimestamp=1772434800000&toTimestamp=1772463600000`);
  const changed = events.find(({ diff, resourceId }) => diff.length > 1 && events.filter((other) => other.resourceId === resourceId).length > 1)!;
  pages = [
    ["overview", `/?${DAY}`],
    ["events", `/events?${DAY}`],
    ["event", `/events?${DAY}&q=action:record.updated&event=${changed.id}`, async (page) => page.getByRole("button", { name: /^Changes/ }).click()],
    ["resource", `/resources/${changed.resourceType}/${changed.resourceId}`],
    ["actor", `/actors/agent-atlas?${DAY}`],
    ["findings", `/findings?${DAY}`, async (page) => page.locator(".finding-list.wide button").first().click()],
    ["reports", `/reports?${DAY}`],
    ["retention", "/retention"],
    ["integrity", "/integrity"],
    ["settings", "/settings"],
  ];
});

afterAll(async () => {
  await browser?.close();
  await app?.close();
});

for (const theme of ["light", "dark"] as const) {
  for (const width of WIDTHS) {
    test(`each page looks as it did when it was looked at, ${theme}, ${width} px wide`, async () => {
      const height = width === 360 ? 760 : 900;
      const visitor = await Visitor.of(browser, app, { colorScheme: theme, viewport: { width, height }, reducedMotion: "reduce" });
      const { page } = visitor;
      await page.clock.setFixedTime(NOW);
      const wrong: string[] = [];
      for (const [name, at, prepare] of pages) {
        await page.goto(app.url + at);
        await page.locator("h1").waitFor();
        await isStill(page);
        await prepare?.(page);
        await isStill(page);
        const taken = await page.screenshot({ animations: "disabled", caret: "hide" });
        const share = compare(`${name}-${theme}-${width}`, taken);
        if (share > TOLERANCE) {
          wrong.push(`${name}-${theme}-${width}: ${(share * 100).toFixed(1)} % differ`);
        }
      }
      await visitor.leave();
      expect(wrong, "look at them in test/shots/new; if they are right, `npm run shots` takes them over").toEqual([]);
    });
  }
}

/** Waits until all is there, and leaves out what is another one at each run. */
async function isStill(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector(".loading, .wait, .row-loading, .door-wait") === null && document.fonts.status === "loaded");
  await page.evaluate(async () => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("[data-volatile], .volatile, .feed-card .feed .when { visibility: hidden !important; }");
    document.adoptedStyleSheets = [sheet];
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  });
}

/** Which share of the pixels differs from those of the picture that was looked at. */
function compare(name: string, taken: Buffer): number {
  const path = join(SHOTS, `${name}.png`);
  if (process.env.SEALOG_WRITE_SNAPSHOTS) {
    mkdirSync(SHOTS, { recursive: true });
    writeFileSync(path, PNG.sync.write(PNG.sync.read(taken), { colorType: 2, deflateLevel: 9 }));
    return 0;
  }
  const now = PNG.sync.read(taken);
  const known = existsSync(path) ? PNG.sync.read(readFileSync(path)) : undefined;
  const share =
    known?.width === now.width && known.height === now.height
      ? pixelmatch(known.data, now.data, undefined, now.width, now.height, { threshold: 0.2 }) / (now.width * now.height)
      : 1;
  if (share > TOLERANCE) {
    mkdirSync(join(SHOTS, "new"), { recursive: true });
    writeFileSync(join(SHOTS, `new/${name}.png`), taken);
  }
  return share;
}
