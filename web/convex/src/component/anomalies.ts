// Which patterns are met now.
import type { DatabaseReader } from "./_generated/server.js";
import { tallyOf } from "./counters.js";
import { Budget, page, type Event } from "./streams.js";
import type { Anomaly, AnomalyPattern } from "./validators.js";

const MINUTE_MS = 60_000;

/** Whose an event is, by what a pattern counts apart. */
const GROUPS: Record<NonNullable<AnomalyPattern["groupBy"]>, (event: Event) => string | undefined> = {
  actor: ({ actorId }) => actorId,
  ipAddress: ({ ipAddress }) => ipAddress,
  resource: ({ resourceType, resourceId }) =>
    resourceType === undefined || resourceId === undefined ? undefined : `${resourceType}:${resourceId}`,
  session: ({ sessionId }) => sessionId,
  tenant: ({ tenant }) => tenant,
};

export async function detect(db: DatabaseReader, patterns: readonly AnomalyPattern[]): Promise<Anomaly[]> {
  const now = Date.now();
  const found: Anomaly[] = [];
  const budget = new Budget();
  for (const pattern of patterns) {
    const { action, threshold, windowMinutes, name = action } = pattern;
    for (const [group, count] of await counts(db, pattern, now, budget)) {
      if (count >= threshold) {
        found.push({ action, count, threshold, windowMinutes, detectedAt: now, name, ...(group === undefined ? {} : { group }) });
      }
    }
  }
  return found;
}

/** How many events of a pattern there are in its window, in each group. */
async function counts(
  db: DatabaseReader,
  pattern: AnomalyPattern,
  now: number,
  budget: Budget,
): Promise<Map<string | undefined, number>> {
  const { action, windowMinutes, groupBy, filter } = pattern;
  const fromTimestamp = now - windowMinutes * MINUTE_MS;
  if (!groupBy && !filter) {
    // To the end of time: an event may be ahead of this clock.
    const tally = await tallyOf(db, fromTimestamp, Number.MAX_SAFE_INTEGER, budget);
    return new Map([[undefined, tally.actions.get(action) ?? 0]]);
  }
  const selection = {
    ...filter,
    actions: [action],
    fromTimestamp: Math.max(fromTimestamp, filter?.fromTimestamp ?? fromTimestamp),
  };
  // A page has one event, also where other patterns have left nothing of the budget.
  const isSpent = budget.isSpent;
  const { items, next } = await page(db, selection, { limit: Number.POSITIVE_INFINITY, order: "desc", budget });
  if (isSpent || next) {
    throw new Error(`there are too many events of ${action} in the window to count them apart in a query`);
  }
  const groups = new Map<string | undefined, number>();
  for (const event of items) {
    const group = groupBy && GROUPS[groupBy](event);
    if (!groupBy || group !== undefined) {
      groups.set(group, (groups.get(group) ?? 0) + 1);
    }
  }
  return groups;
}
