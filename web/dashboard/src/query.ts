// As much of the compact form as chips and suggestions need. What a filter means is the server's to say.

/** One condition or word as it was written, with its place. */
export interface Token {
  text: string;
  start: number;
  end: number;
  /** The key of a condition, `since` in `since:7d`; none of a word. */
  key?: string;
  operator?: ":" | ">=";
  /** What stands behind the operator, as it was written. */
  value?: string;
}

export const KEYS: readonly { key: string; about: string; field?: string; values?: readonly string[] }[] = [
  { key: "action", about: "what was done", field: "action" },
  { key: "actor", about: "who did it", field: "actorId" },
  { key: "actor-type", about: "user, service, agent …", field: "actorType" },
  { key: "severity", about: "how much it matters", values: ["info", "warning", "error", "critical"] },
  { key: "outcome", about: "how it ended", values: ["success", "failure", "denied"] },
  { key: "resource", about: "type:id of a thing" },
  { key: "resource-type", about: "what kind of thing", field: "resourceType" },
  { key: "tag", about: "a word it carries", field: "tag" },
  { key: "tenant", about: "whose log it is", field: "tenant" },
  { key: "ip", about: "an address or a network" },
  { key: "session", about: "in which session" },
  { key: "request", about: "in which request" },
  { key: "retention", about: "a retention category", field: "retentionCategory" },
  { key: "changed", about: "a path that a change touches" },
  { key: "since", about: "not before", values: ["1h", "24h", "7d", "30d"] },
  { key: "until", about: "before", values: ["1h", "24h", "7d"] },
];

export function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at]!)) {
      at++;
      continue;
    }
    const start = at;
    let isQuoted = false;
    while (at < text.length && (isQuoted || !/\s/.test(text[at]!))) {
      if (text[at] === "\\" && at + 1 < text.length) {
        at++;
      } else if (text[at] === '"') {
        isQuoted = !isQuoted;
      }
      at++;
    }
    const written = text.slice(start, at);
    const [, key, operator, value] = /^([a-z-]+)(:|>=)([^]*)$/i.exec(written) ?? [];
    const isCondition = key !== undefined && KEYS.some((known) => known.key === key.toLowerCase());
    found.push({ text: written, start, end: at, ...(isCondition ? { key: key.toLowerCase(), operator: operator as ":" | ">=", value: value! } : {}) });
  }
  return found;
}

/** A value as it stands in the compact form. */
export function quoted(value: string): string {
  return /^[\w.@/*+-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** The text, and where the cursor is, after something has taken the place of what was begun. */
export function taken(text: string, { start, end }: { start: number; end: number }, insert: string): { text: string; cursor: number } {
  const rest = text.slice(end);
  // Further values of the condition follow without a space, and the cursor goes behind this one.
  const whole = rest.startsWith(",") ? insert.trimEnd() : insert;
  // What ends a condition brings its own space; a key without a value yet keeps the one that is there.
  return { text: text.slice(0, start) + whole + (whole.endsWith(" ") ? rest.trimStart() : rest), cursor: start + whole.length };
}

/** The text without this token. */
export function without(text: string, token: Token): string {
  return (text.slice(0, token.start) + text.slice(token.end)).replace(/\s+/g, " ").trim();
}

/** The text with a condition in place of those of its key. */
export function withCondition(text: string, key: string, condition: string | null): string {
  let kept = text;
  for (const token of tokens(text).reverse()) {
    if (token.key === key) {
      kept = without(kept, token);
    }
  }
  return [kept, condition].filter(Boolean).join(" ");
}

/** What is being written where the cursor stands: a key, or a value of one. */
export interface Writing {
  token: Token | undefined;
  /** The key whose value is being written. */
  key?: string;
  /** What there is of it. */
  begun: string;
  /** What it takes the place of. */
  start: number;
  end: number;
}

export function writingAt(text: string, cursor: number): Writing {
  const token = tokens(text).find(({ start, end }) => start <= cursor && cursor <= end);
  if (!token) {
    return { token, begun: "", start: cursor, end: cursor };
  }
  if (token.key !== undefined) {
    const begins = token.start + token.key.length + token.operator!.length;
    if (cursor >= begins) {
      const [start, end] = valueAt(text, begins, token.end, cursor);
      return { token, key: token.key, begun: text.slice(start, cursor).replace(/^"/, ""), start, end };
    }
  }
  // A key ends where its value begins.
  const key = /^[a-z-]+(:|>=)/i.exec(token.text)?.[0] ?? token.text;
  const end = cursor < token.start + key.length ? token.start + key.length : token.end;
  return { token, begun: text.slice(token.start, cursor), start: token.start, end };
}

/** Of the values between commas, where the one begins and ends that the cursor is in. */
function valueAt(text: string, begins: number, ends: number, cursor: number): [number, number] {
  let start = begins;
  let isQuoted = false;
  for (let at = begins; at < ends; at++) {
    if (text[at] === "\\") {
      at++;
    } else if (text[at] === '"') {
      isQuoted = !isQuoted;
    } else if (text[at] === "," && !isQuoted) {
      if (at >= cursor) {
        return [start, at];
      }
      start = at + 1;
    }
  }
  return [start, ends];
}

const WRITTEN: [string, string][] = [
  ["actions", "action"], ["actorIds", "actor"], ["actorTypes", "actor-type"], ["severities", "severity"], ["outcomes", "outcome"],
  ["resourceTypes", "resource-type"], ["tenant", "tenant"], ["ipAddresses", "ip"], ["sessionId", "session"],
  ["requestId", "request"], ["retentionCategories", "retention"], ["changed", "changed"], ["fromTimestamp", "since"], ["toTimestamp", "until"],
];

/** A filter as people write it. */
export function written(filter: object): string {
  const given = filter as Record<string, unknown>;
  const parts = WRITTEN.flatMap(([name, key]) => {
    const values = [given[name] ?? []].flat() as (string | number)[];
    return values.length === 0 ? [] : [`${key}:${values.map((value) => quoted(String(value))).join(",")}`];
  });
  const resource = given.resource as { type: string; id: string } | undefined;
  if (resource) {
    parts.push(`resource:${quoted(resource.type)}:${quoted(resource.id)}`);
  }
  if (Array.isArray(given.tagsAny) && given.tagsAny.length > 0) {
    parts.push(`tag:${given.tagsAny.map(String).map(quoted).join(",")}`);
  }
  for (const tag of (given.tagsAll ?? []) as string[]) {
    parts.push(`tag:${quoted(tag)}`);
  }
  if (typeof given.text === "string") {
    parts.push(given.text);
  }
  return parts.join(" ");
}
