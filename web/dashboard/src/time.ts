// Ranges of time, as the address and people say them.
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export const RANGES = [
  { name: "1h", label: "1 h", long: "Last hour", ms: HOUR },
  { name: "24h", label: "24 h", long: "Last 24 hours", ms: DAY },
  { name: "7d", label: "7 d", long: "Last 7 days", ms: 7 * DAY },
  { name: "30d", label: "30 d", long: "Last 30 days", ms: 30 * DAY },
] as const;

export interface Range {
  /** The first millisecond, or nothing where it has no beginning. */
  from?: number;
  /** The first one after it; nothing where it goes on. */
  to?: number;
  name: string;
  label: string;
}

/** The range that the parameters name. What moves with the clock begins at a whole minute, so that it asks the same for a while. */
export function rangeOf(params: URLSearchParams, now: number, otherwise: string): Range {
  const from = numberOf(params.get("from"));
  const to = numberOf(params.get("to"));
  if (from !== undefined || to !== undefined) {
    return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }), name: "custom", label: customLabel(from, to) };
  }
  const name = params.get("range") ?? otherwise;
  const known = RANGES.find((range) => range.name === name);
  if (!known) {
    return { name: "all", label: "All time" };
  }
  return { from: Math.floor((now - known.ms) / 60_000) * 60_000, name: known.name, label: known.long };
}

function numberOf(text: string | null): number | undefined {
  return text !== null && /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function customLabel(from: number | undefined, to: number | undefined): string {
  if (from === undefined) {
    return `Until ${dateTime(to!)}`;
  }
  return to === undefined ? `Since ${dateTime(from)}` : `${dateTime(from)} – ${dateTime(to)}`;
}

/** The later of two beginnings, of which either may be missing. */
export function later(a: number | undefined | null, b: number | undefined | null): number | undefined {
  return a == null ? (b ?? undefined) : b == null ? a : Math.max(a, b);
}

/** The earlier of two ends. */
export function earlier(a: number | undefined | null, b: number | undefined | null): number | undefined {
  return a == null ? (b ?? undefined) : b == null ? a : Math.min(a, b);
}

/** The range of a filter, of which an end may be missing. */
export function timesOf({ from, to }: { from?: number | undefined; to?: number | undefined }): { fromTimestamp?: number; toTimestamp?: number } {
  return { ...(from === undefined ? {} : { fromTimestamp: from }), ...(to === undefined ? {} : { toTimestamp: to }) };
}

/** What a range is known by, also while the clock moves it on. */
export function rangeKey({ name, from, to }: Range): string {
  return name === "custom" ? `${from ?? ""} ${to ?? ""}` : name;
}

/** Parameters for an address that shows the same range. */
export function rangeParams({ name, from, to }: Range): Record<string, string> {
  return name === "custom" ? { ...(from === undefined ? {} : { from: String(from) }), ...(to === undefined ? {} : { to: String(to) }) } : { range: name };
}

const pad = (value: number, width = 2) => String(value).padStart(width, "0");
const isTime = (timestamp: number) => Math.abs(timestamp) <= 8.64e15;

export function date(timestamp: number): string {
  if (!isTime(timestamp)) {
    return String(timestamp);
  }
  const at = new Date(timestamp);
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
}

export function clock(timestamp: number, withMs = false): string {
  if (!isTime(timestamp)) {
    return "";
  }
  const at = new Date(timestamp);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}${withMs ? `.${pad(at.getMilliseconds(), 3)}` : ""}`;
}

export function dateTime(timestamp: number): string {
  return `${date(timestamp)} ${clock(timestamp).slice(0, 5)}`;
}

export function exact(timestamp: number): string {
  return isTime(timestamp) ? new Date(timestamp).toISOString() : String(timestamp);
}

export function duration(ms: number): string {
  const units = [[DAY, "d"], [HOUR, "h"], [60_000, "min"], [1000, "s"]] as const;
  const [size, unit] = units.find(([size]) => ms >= size) ?? [1, "ms"];
  return `${Math.round((ms / size) * 10) / 10} ${unit}`;
}

export function ago(timestamp: number, now: number): string {
  const ms = now - timestamp;
  if (ms < 5_000) {
    return "now";
  }
  for (const [size, unit] of [[DAY, "d"], [HOUR, "h"], [60_000, "min"], [1000, "s"]] as const) {
    if (ms >= size) {
      return `${Math.floor(ms / size)} ${unit} ago`;
    }
  }
  return "now";
}

/** What an input of the type `datetime-local` holds, and back. */
export function toInput(timestamp: number | undefined): string {
  return timestamp === undefined ? "" : `${date(timestamp)}T${clock(timestamp).slice(0, 5)}`;
}

export function fromInput(value: string): number | null {
  const at = new Date(value).getTime();
  return Number.isNaN(at) ? null : at;
}
