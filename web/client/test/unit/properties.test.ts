import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generateDiff, type DiffOp } from "../../src/index.js";
import { readableDiff } from "../../src/diff.js";
import { uuidv7 } from "../../src/id.js";
import { canonicalJson, pointerSegments, type Json } from "../../src/json.js";
import { FrameParser } from "../../src/live/frames.js";
import { withEntries, newestFirst } from "../../src/live/list.js";
import { Redactor, type Redactable } from "../../src/redact.js";
import type { AuditLogEntry } from "../../src/types.js";

const document = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
/** Lists with few different elements: those that a search for what was kept has most to do with. */
const list = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 30 });

/** Applies operations as RFC 6902 says. */
function apply(before: Json, ops: DiffOp[]): Json {
  let root = structuredClone(before) as unknown;
  for (const { op, path, value } of structuredClone(ops)) {
    const segments = pointerSegments(path);
    const last = segments.pop();
    if (last === undefined) {
      root = value;
      continue;
    }
    const parent = segments.reduce((at, segment) => (at as Record<string, unknown>)[segment], root) as never;
    if (Array.isArray(parent)) {
      (parent as unknown[]).splice(Number(last), op === "add" ? 0 : 1, ...(op === "remove" ? [] : [value]));
    } else if (op === "remove") {
      delete parent[last];
    } else {
      Object.defineProperty(parent, last, { value, enumerable: true, configurable: true, writable: true });
    }
  }
  return root as Json;
}

describe("diff", () => {
  test("applied to what was before, it gives what is there after", () => {
    fc.assert(
      fc.property(fc.oneof(fc.tuple(document, document), fc.tuple(list, list)), ([before, after]) => {
        const ops = generateDiff(before, after);
        expect(canonicalJson(apply(before, ops))).toBe(canonicalJson(after));
        expect(readableDiff(ops).split("\n").filter(Boolean)).toHaveLength(ops.length);
      }),
    );
  });

  test("what equals has none", () => {
    fc.assert(
      fc.property(document, (value) => {
        expect(generateDiff(value, structuredClone(value))).toEqual([]);
      }),
    );
  });

  test("what would be too long replaces the whole", () => {
    const numbers = (from: number, length: number) => Array.from({ length }, (_, at) => from + at);
    expect(generateDiff({ a: numbers(0, 2_000) }, { a: numbers(5_000, 2_000) })).toMatchObject([{ op: "replace", path: "/a" }]);
    expect(generateDiff({ a: [] }, { a: numbers(0, 513) })).toMatchObject([{ op: "replace", path: "/a" }]);
    expect(generateDiff({ a: [] }, { a: numbers(0, 512) })).toHaveLength(512);
    const many = Object.fromEntries(numbers(0, 10_001).map((name) => [name, 1]));
    expect(generateDiff({}, many)).toEqual([{ op: "replace", path: "", old: {}, value: many }]);
  });
});

describe("hiding", () => {
  /** Documents in which `secret` stands here and there, always with a text that occurs nowhere else. */
  const hiding = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Json>(1, null, "plain"),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom("a", "b", "Sec_ret"), tie("value"), { maxKeys: 3 }).map((object) => {
        return "Sec_ret" in object ? { ...object, Sec_ret: ["hunter2", object.Sec_ret] } : object;
      }),
    ) as fc.Arbitrary<Json>,
  })).value;
  const mode = fc.constantFrom("redact" as const, "mask" as const, "remove" as const);

  test("no hidden value is anywhere in what is sent, and hiding again changes nothing", () => {
    fc.assert(
      fc.property(fc.record({ metadata: fc.record({ deep: hiding }), before: hiding, after: hiding }), mode, (event, mode) => {
        const redactor = new Redactor({ piiFields: [{ name: "secret", mode }] });
        const once: Redactable = structuredClone(event);
        redactor.redact(once);
        expect(JSON.stringify(once)).not.toContain("hunter2");
        const twice = structuredClone(once);
        redactor.redact(twice);
        expect(twice).toEqual(once);
      }),
    );
  });

  test("that a hidden value changed is told, and nothing of what is below it", () => {
    fc.assert(
      fc.property(document, document, (old, value) => {
        const event: Redactable = { before: { a: [{ secret: old }] }, after: { a: [{ secret: value }] } };
        new Redactor().redact(event);
        expect(event.changed ?? []).toEqual(canonicalJson(old) === canonicalJson(value) ? [] : ["/a/0/secret"]);
      }),
    );
  });

  test("more changes than an event may carry are one of the whole", () => {
    const many = (value: number) => Object.fromEntries(Array.from({ length: 1_025 }, (_, at) => [at, { token: value }]));
    const event: Redactable = { before: many(1), after: many(2) };
    new Redactor().redact(event);
    expect(event.changed).toEqual([""]);
  });
});

test("frames are read the same however they are cut", () => {
  const line = fc.oneof(
    fc.constantFrom("data: a", "data:b", "data", "id: 7", "id: \0", "event: x", "retry: 5", "retry: x", ": comment", "", "", "other: 1"),
    fc.string().map((text) => `data: ${text.replace(/[\r\n]/g, "")}`),
  );
  const end = fc.constantFrom("\n", "\r\n", "\r");
  fc.assert(
    fc.property(fc.array(fc.tuple(line, end)), fc.array(fc.nat()), fc.boolean(), (lines, cuts, hasMark) => {
      const text = (hasMark ? "\ufeff" : "") + lines.flat().join("");
      const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
      const pieces = [0, ...places].map((from, at) => text.slice(from, places[at] ?? text.length));
      const read = (pieces: string[]) => {
        const parser = new FrameParser();
        return pieces.flatMap((piece) => parser.push(piece));
      };
      expect(read(pieces)).toEqual(read([text]));
    }),
  );
});

test("a frame that never ends is an error and not all of the memory", () => {
  const parser = new FrameParser();
  const piece = "x".repeat(1 << 24);
  expect(() => {
    for (let count = 0; count < 5; count++) {
      parser.push(piece);
    }
  }).toThrow(/too long/);
});

test("a live list holds the newest of all that was told, each once", () => {
  const entry = fc.nat(20).map((seq) => ({ seq, timestamp: (seq * 7) % 5 }) as AuditLogEntry);
  fc.assert(
    fc.property(fc.array(fc.array(entry)), fc.integer({ min: 1, max: 10 }), (told, limit) => {
      let shown: AuditLogEntry[] = [];
      for (const entries of told) {
        shown = withEntries(shown, entries, limit);
      }
      const all = [...new Map(told.flat().map((entry) => [entry.seq, entry])).values()].sort(newestFirst);
      expect(shown).toEqual(all.slice(0, limit));
    }),
  );
});

test("ids are UUIDs of version 7: in the order of time, and with 74 bits of chance", () => {
  expect(uuidv7(0x0123456789ab, new Uint8Array(10).fill(0xff))).toBe("01234567-89ab-7fff-bfff-ffffffffffff");
  expect(uuidv7(0, new Uint8Array(10))).toBe("00000000-0000-7000-8000-000000000000");
  fc.assert(
    fc.property(fc.nat(), fc.nat(), (a, b) => {
      const [first, second] = [uuidv7(a), uuidv7(b)];
      expect(a < b ? first < second : a > b ? first > second : first !== second).toBe(true);
    }),
  );
});
