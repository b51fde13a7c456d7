import { canonicalJson, compareNames, equalJson, escapeSegment, isObject, pointerSegments, type Json, type JsonObject } from "./json.js";

/** One step of a diff: an operation of JSON Patch (RFC 6902), with the value it replaced. */
export interface DiffOp {
  op: "add" | "remove" | "replace";
  /** Where, as a JSON Pointer. */
  path: string;
  /** The value that was there: of `remove` and `replace`. */
  old?: unknown;
  /** The value that is there now: of `add` and `replace`. */
  value?: unknown;
}

/** Past so many operations, or so many characters of pointers, the whole document is replaced. */
const MAX_DIFF_OPS = 10_000;
const MAX_DIFF_PATH_CHARS = 512 * 1024;
/** Past so many elements added or removed, or so many steps of search, a list is replaced. */
const MAX_ARRAY_EDITS = 512;
const MAX_ARRAY_STEPS = 1 << 20;
/** A value is cut after so many characters where people read it. */
const MAX_READABLE_CHARS = 120;

/**
 * Says where the diff may look inside: a value that will be hidden is compared as a whole, so that no name below
 * it stands in a pointer.
 */
export interface Guide<Place> {
  root: Place;
  /** The place of a member; `undefined` where its value is compared as a whole. */
  member(parent: Place, name: string): Place | undefined;
  /** The place of a list's elements; `undefined` where each is compared as a whole. */
  element(parent: Place): Place | undefined;
}

const EVERYWHERE: Guide<true> = { root: true, member: () => true, element: () => true };

/**
 * What turns `before` into `after`: the same operations that the log itself makes.
 *
 * ```ts
 * generateDiff({ plan: "free" }, { plan: "team" });
 * // [{ op: "replace", path: "/plan", old: "free", value: "team" }]
 * ```
 */
export function generateDiff(before: Json, after: Json): DiffOp[] {
  return guidedDiff(before, after, EVERYWHERE);
}

export function guidedDiff<Place>(before: Json, after: Json, guide: Guide<Place>): DiffOp[] {
  const ops: DiffOp[] = [];
  let chars = 0;
  const tooLarge = Symbol();

  function push(op: DiffOp): void {
    chars += op.path.length;
    if (ops.length === MAX_DIFF_OPS || chars > MAX_DIFF_PATH_CHARS) {
      throw tooLarge;
    }
    ops.push(op);
  }

  function compare(old: Json, value: Json, path: string, place: Place | undefined): void {
    if (place !== undefined && isObject(old) && isObject(value)) {
      compareObjects(old, value, path, place);
    } else if (place !== undefined && Array.isArray(old) && Array.isArray(value)) {
      compareArrays(old, value, path, place);
    } else if (!equalJson(old, value)) {
      push({ op: "replace", path, old, value });
    }
  }

  function compareObjects(old: JsonObject, value: JsonObject, path: string, place: Place): void {
    const names = [...new Set([...Object.keys(old), ...Object.keys(value)])].sort(compareNames);
    for (const name of names) {
      const at = `${path}/${escapeSegment(name)}`;
      if (!Object.hasOwn(value, name)) {
        push({ op: "remove", path: at, old: old[name] });
      } else if (!Object.hasOwn(old, name)) {
        push({ op: "add", path: at, value: value[name] });
      } else {
        compare(old[name]!, value[name]!, at, guide.member(place, name));
      }
    }
  }

  function compareArrays(old: Json[], value: Json[], path: string, place: Place): void {
    const runs = arrayRuns(old, value);
    if (!runs) {
      push({ op: "replace", path, old, value });
      return;
    }
    const inside = guide.element(place);
    // The index in the list as it is after the operations so far, which is what each of them is applied to.
    let index = 0;
    let from = 0;
    for (const run of runs) {
      index += run.removedFrom - from;
      const pairs = Math.min(run.removedTo - run.removedFrom, run.addedTo - run.addedFrom);
      for (let pair = 0; pair < pairs; pair++, index++) {
        compare(old[run.removedFrom + pair]!, value[run.addedFrom + pair]!, `${path}/${index}`, inside);
      }
      for (let at = run.removedFrom + pairs; at < run.removedTo; at++) {
        push({ op: "remove", path: `${path}/${index}`, old: old[at] });
      }
      for (let at = run.addedFrom + pairs; at < run.addedTo; at++, index++) {
        push({ op: "add", path: `${path}/${index}`, value: value[at] });
      }
      from = run.removedTo;
    }
  }

  try {
    compare(before, after, "", guide.root);
    return ops;
  } catch (error) {
    if (error !== tooLarge) {
      throw error;
    }
    return [{ op: "replace", path: "", old: before, value: after }];
  }
}

/** Neighbouring elements of which none was kept. */
interface Run {
  removedFrom: number;
  removedTo: number;
  addedFrom: number;
  addedTo: number;
}

/** How one list becomes another; `undefined` where that would exceed the bounds. */
function arrayRuns(before: Json[], after: Json[]): Run[] | undefined {
  let start = 0;
  while (start < before.length && start < after.length && equalJson(before[start]!, after[start]!)) {
    start++;
  }
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && equalJson(before[before.length - 1 - end]!, after[after.length - 1 - end]!)) {
    end++;
  }
  const removed = before.length - start - end;
  const added = after.length - start - end;
  if (removed === 0 && added === 0) {
    return [];
  }
  const isPlain = (removed === 1 && added === 1) || removed === 0 || added === 0;
  if (isPlain && Math.max(removed, added) <= MAX_ARRAY_EDITS) {
    return [{ removedFrom: start, removedTo: start + removed, addedFrom: start, addedTo: start + added }];
  }
  if (Math.abs(removed - added) > MAX_ARRAY_EDITS) {
    return undefined;
  }
  // Equal elements get equal numbers, so that the search compares numbers.
  const numbers = new Map<string, number>();
  const number = (value: Json) => {
    const key = canonicalJson(value);
    const known = numbers.get(key) ?? numbers.size;
    numbers.set(key, known);
    return known;
  };
  const edits = shortestEdits(
    before.slice(start, start + removed).map(number),
    after.slice(start, start + added).map(number),
  );
  return edits && gatherRuns(edits, start);
}

const KEEP = 0;
const REMOVE = 1;
const ADD = 2;

function gatherRuns(edits: number[], start: number): Run[] {
  const runs: Run[] = [];
  let before = start;
  let after = start;
  let run: Run | undefined;
  for (const edit of edits) {
    if (edit === KEEP) {
      before++;
      after++;
      run = undefined;
      continue;
    }
    if (!run) {
      run = { removedFrom: before, removedTo: before, addedFrom: after, addedTo: after };
      runs.push(run);
    }
    if (edit === REMOVE) {
      run.removedTo = ++before;
    } else {
      run.addedTo = ++after;
    }
  }
  return runs;
}

/**
 * The shortest list of edits: E. W. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1
 * (1986). Of each number of edits it keeps the furthest point on each diagonal `x - y`, -1 where none was reached.
 */
function shortestEdits(a: number[], b: number[]): number[] | undefined {
  let steps = a.length + b.length + MAX_ARRAY_STEPS;
  const trace: Int32Array[] = [];

  // Where the next edit arrives on a diagonal, and which edit it is: the one that gets further.
  function reach(count: number, diagonal: number): [number, number] | undefined {
    if (count === 0) {
      return [0, KEEP];
    }
    const previous = trace[count - 1]!;
    const point = (at: number) => previous[at + count - 1] ?? -1;
    const above = point(diagonal + 1);
    const left = point(diagonal - 1);
    const add = above >= 0 && above - diagonal <= b.length ? above : -1;
    const remove = left >= 0 && left + 1 <= a.length ? left + 1 : -1;
    if (remove > add) {
      return [remove, REMOVE];
    }
    return add >= 0 ? [add, ADD] : undefined;
  }

  for (let count = 0; count <= MAX_ARRAY_EDITS; count++) {
    const frontier = new Int32Array(2 * count + 1).fill(-1);
    for (let diagonal = -count; diagonal <= count; diagonal += 2) {
      const reached = reach(count, diagonal);
      if (!reached) {
        continue;
      }
      let x = reached[0];
      let y = x - diagonal;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x++;
        y++;
        steps--;
      }
      if (--steps < 0) {
        return undefined;
      }
      frontier[diagonal + count] = x;
      if (x === a.length && y === b.length) {
        return walkBack(count);
      }
    }
    trace.push(frontier);
  }
  return undefined;

  // From the end to the start along the frontiers, making each choice again as it was made.
  function walkBack(last: number): number[] {
    const edits: number[] = [];
    let x = a.length;
    let y = b.length;
    for (let count = last; count >= 0; count--) {
      const [arrived, edit] = reach(count, x - y) ?? [0, KEEP];
      for (let kept = x - arrived; kept > 0; kept--) {
        edits.push(KEEP);
      }
      y -= x - arrived;
      x = arrived;
      if (edit === REMOVE) {
        x--;
        edits.push(edit);
      } else if (edit === ADD) {
        y--;
        edits.push(edit);
      }
    }
    return edits.reverse();
  }
}

/** A pointer as people read it: `user.emails.work`, and `(whole)` for the document itself. */
export function readablePath(path: string): string {
  return path === "" ? "(whole)" : visible(pointerSegments(path).join("."));
}

/** A value as people read it: canonical JSON, cut where it is long. */
export function readableValue(value: unknown): string {
  const chars = Array.from(canonicalJson((value ?? null) as Json));
  const text = chars.length > MAX_READABLE_CHARS ? `${chars.slice(0, MAX_READABLE_CHARS).join("")}…` : chars.join("");
  return visible(text);
}

/** A diff as people read it, one line an operation: `- key`, `+ key` or `~ key: old → new`. */
export function readableDiff(ops: readonly DiffOp[]): string {
  return ops
    .map(({ op, path, old, value }) => {
      const key = readablePath(path);
      return op === "replace" ? `~ ${key}: ${readableValue(old)} → ${readableValue(value)}` : `${op === "add" ? "+" : "-"} ${key}`;
    })
    .join("\n");
}

/** Characters that would turn text around or steer a terminal are shown by their numbers. */
function visible(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
