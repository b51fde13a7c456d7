import { guidedDiff, type DiffOp, type Guide } from "./diff.js";
import { SealogError } from "./error.js";
import { isObject, pointerSegments, type Json, type JsonObject } from "./json.js";

/** How a value is hidden here. Hashing takes the log's key, so that is the server's. */
export type RedactionMode = "redact" | "mask" | "remove";

/** What is hidden before anything leaves this process, by the same rules as in the server's policy. */
export interface RedactionOptions {
  /** Names of fields to hide, in any case and with or without `_` and `-`; `redact` unless a mode is given. */
  piiFields?: readonly (string | { name: string; mode?: RedactionMode })[];
  /** Fields to hide by where they are: `metadata.user.phone`, or a JSON Pointer, `/metadata/user/phone`. */
  piiPaths?: readonly (string | { path: string; mode?: RedactionMode })[];
  /** Whether fields with one of the server's default names (`password`, `apiKey`, …) are hidden; `true` unless given. */
  redactDefaults?: boolean;
  /** Default names that are kept nevertheless. */
  keepFields?: readonly string[];
}

/** What a secret's field is usually called; the same names as the server's. */
export const DEFAULT_REDACTED_FIELDS: readonly string[] = (
  "password passwd pwd passphrase passwordHash oldPassword newPassword currentPassword confirmPassword " +
  "passwordConfirmation secret secretKey secretAccessKey clientSecret appSecret apiSecret webhookSecret totpSecret " +
  "otp recoveryCodes backupCodes token accessToken refreshToken idToken authToken bearerToken sessionToken " +
  "securityToken csrfToken xCsrfToken resetToken apiKey xApiKey apiToken privateKey signingKey encryptionKey sshKey " +
  "authorization proxyAuthorization cookie setCookie creditCard creditCardNumber cardNumber cvv cvc ssn " +
  "socialSecurityNumber connectionString"
).split(" ");

/** What stands in the place of a hidden value. */
export const REDACTED = "[REDACTED]";
const MASK = "****";
const MASK_SHOWN_CHARS = 4;

/** The event's own fields that a name can hide. */
const OWN_FIELDS = [
  "actorId",
  "actorName",
  "onBehalfOf",
  "resourceId",
  "ipAddress",
  "userAgent",
  "sessionId",
  "requestId",
  "tags",
] as const;
const DOCUMENTS = ["metadata", "before", "after"] as const;

/** The most pointers that an event may carry in `changed`, and the most characters of them, which is bytes or fewer. */
const MAX_CHANGED_POINTERS = 1024;
const MAX_CHANGED_BYTES = 256 * 1024;

/** A name without its case, `_` and `-`. */
export function normalize(name: string): string {
  // One character at a time: the case of one never depends on its neighbours.
  return Array.from(name.replace(/[_-]/g, ""), (char) => char.toLowerCase()).join("");
}

/** One step of the rules by path. */
interface Node {
  mode?: RedactionMode;
  members: Map<string, Node>;
  elements: Map<number, Node>;
  any?: Node;
}

/** How far a rule has been followed. */
interface At {
  node: Node;
  insideArray: boolean;
}

type Way = readonly At[];

const STRENGTH: Record<RedactionMode, number> = { mask: 0, redact: 1, remove: 2 };

function stronger(a: RedactionMode | undefined, b: RedactionMode | undefined): RedactionMode | undefined {
  return a && (!b || STRENGTH[a] > STRENGTH[b]) ? a : b;
}

function newNode(): Node {
  return { members: new Map(), elements: new Map() };
}

/** Where a step leads: what is hidden there, and how the rules go on. */
interface Step {
  mode: RedactionMode | undefined;
  way: At[];
}

function arrive(step: Step, node: Node | undefined): void {
  if (node) {
    step.mode = stronger(step.mode, node.mode);
    step.way.push({ node, insideArray: false });
  }
}

function enterMember(from: Way, name: string): Step {
  const step: Step = { mode: undefined, way: [] };
  const normalized = from.length > 0 ? normalize(name) : "";
  for (const { node, insideArray } of from) {
    arrive(step, node.members.get(normalized));
    arrive(step, insideArray ? undefined : node.any);
  }
  return step;
}

/** Enters an element of a list, or any of them where `index` is not known. */
function enterElement(from: Way, index: number | undefined): Step {
  const step: Step = { mode: undefined, way: [] };
  for (const { node, insideArray } of from) {
    if (!insideArray) {
      arrive(step, node.any);
      if (index === undefined) {
        node.elements.forEach((child) => arrive(step, child));
      } else {
        arrive(step, node.elements.get(index));
      }
    }
    // A path goes through lists by itself.
    step.way.push({ node, insideArray: true });
  }
  return step;
}

/** How far the rules have been followed in both states. */
interface Both {
  before: Way;
  after: Way;
}

/** The parts of an event that hiding looks at. */
export interface Redactable {
  metadata?: JsonObject;
  before?: Json;
  after?: Json;
  changed?: string[];
  tags?: string[];
  [field: string]: unknown;
}

/** Hides what the options name. */
export class Redactor implements Guide<Both> {
  readonly #names = new Map<string, RedactionMode>();
  readonly #roots: Record<(typeof DOCUMENTS)[number], Node> = {
    metadata: newNode(),
    before: newNode(),
    after: newNode(),
  };
  readonly root: Both;

  constructor(options: RedactionOptions = {}) {
    const kept = new Set(options.keepFields?.map(normalize));
    if (options.redactDefaults ?? true) {
      for (const name of DEFAULT_REDACTED_FIELDS.map(normalize)) {
        if (!kept.has(name)) {
          this.#names.set(name, "redact");
        }
      }
    }
    for (const field of options.piiFields ?? []) {
      const { name, mode } = typeof field === "string" ? { name: field } : field;
      this.#names.set(normalize(name), checkedMode(mode));
    }
    for (const rule of options.piiPaths ?? []) {
      const { path, mode } = typeof rule === "string" ? { path: rule } : rule;
      this.#addPath(path, checkedMode(mode));
    }
    this.root = { before: this.#start("before"), after: this.#start("after") };
  }

  /**
   * Hides in place, and answers whether anything was. Where a change has both states, `changed` then names the
   * hidden values that differ, since the log no longer sees that they do.
   */
  redact(event: Redactable): boolean {
    const changed = event.before === undefined || event.after === undefined ? [] : this.#hiddenChanges(event.before, event.after);
    let hidden = false;
    for (const name of DOCUMENTS) {
      const value = event[name];
      if (value !== undefined) {
        hidden = this.#walk(this.#start(name), value as Json) || hidden;
      }
    }
    for (const name of OWN_FIELDS) {
      const mode = this.#names.get(normalize(name));
      const value = event[name];
      if (!mode || value === undefined) {
        continue;
      }
      hidden = true;
      if (mode === "remove") {
        delete event[name];
      } else if (Array.isArray(value)) {
        event.tags = value.map((item) => hide(mode, item as Json));
      } else {
        (event as Record<string, unknown>)[name] = hide(mode, value as Json);
      }
    }
    if (changed.length > 0) {
      event.changed = [...new Set([...(event.changed ?? []), ...changed])];
    }
    return hidden;
  }

  member(parent: Both, name: string): Both | undefined {
    const before = enterMember(parent.before, name);
    const after = enterMember(parent.after, name);
    const mode = before.mode ?? after.mode ?? this.#names.get(normalize(name));
    return mode ? undefined : { before: before.way, after: after.way };
  }

  element(parent: Both): Both | undefined {
    const before = enterElement(parent.before, undefined);
    const after = enterElement(parent.after, undefined);
    return before.mode || after.mode ? undefined : { before: before.way, after: after.way };
  }

  #start(name: (typeof DOCUMENTS)[number]): Way {
    const node = this.#roots[name];
    return node.members.size > 0 || node.any ? [{ node, insideArray: false }] : [];
  }

  #addPath(path: string, mode: RedactionMode): void {
    const segments = path.startsWith("/") ? pointerSegments(path) : path.split(".");
    const [document, ...rest] = segments;
    if (rest.length === 0 || !DOCUMENTS.includes(document as (typeof DOCUMENTS)[number])) {
      throw new SealogError("invalid_argument", `the path ${path} does not begin with metadata, before or after`);
    }
    let node = this.#roots[document as (typeof DOCUMENTS)[number]];
    for (const segment of rest) {
      if (segment === "*") {
        node = node.any ??= newNode();
        continue;
      }
      const name = normalize(segment);
      const child: Node = node.members.get(name) ?? newNode();
      node.members.set(name, child);
      if (/^\+?[0-9]+$/.test(segment)) {
        node.elements.set(Number(segment), child);
      }
      node = child;
    }
    node.mode = mode;
  }

  #walk(way: Way, value: Json): boolean {
    let hidden = false;
    if (Array.isArray(value)) {
      value.forEach((item, index) => {
        const step = enterElement(way, index);
        if (step.mode) {
          // Also where the mode is to remove: the others keep their places.
          value[index] = hide(step.mode, item);
          hidden = true;
        } else {
          hidden = this.#walk(step.way, item) || hidden;
        }
      });
    } else if (isObject(value)) {
      for (const name of Object.keys(value)) {
        const step = enterMember(way, name);
        const mode = step.mode ?? this.#names.get(normalize(name));
        if (!mode) {
          hidden = this.#walk(step.way, value[name]!) || hidden;
          continue;
        }
        hidden = true;
        if (mode === "remove") {
          delete value[name];
        } else {
          value[name] = hide(mode, value[name]!);
        }
      }
    }
    return hidden;
  }

  /** Pointers to the hidden values that differ. */
  #hiddenChanges(before: Json, after: Json): string[] {
    const changes = guidedDiff(before, after, this).filter((op) => op.op === "replace" && this.#isHidden(op));
    const pointers = changes.map((op) => op.path);
    const bytes = pointers.reduce((sum, pointer) => sum + new TextEncoder().encode(pointer).length, 0);
    return pointers.length > MAX_CHANGED_POINTERS || bytes > MAX_CHANGED_BYTES ? [""] : pointers;
  }

  #isHidden(op: DiffOp): boolean {
    let place: Both | undefined = this.root;
    for (const segment of pointerSegments(op.path)) {
      // Without the document, a number may be an element or a member.
      const member: Both | undefined = this.member(place, segment);
      const element: Both | undefined = /^[0-9]+$/.test(segment) ? this.element(place) : { before: [], after: [] };
      if (!member || !element) {
        return true;
      }
      place = { before: [...member.before, ...element.before], after: [...member.after, ...element.after] };
    }
    return false;
  }
}

function checkedMode(mode: RedactionMode = "redact"): RedactionMode {
  if (!Object.hasOwn(STRENGTH, mode)) {
    throw new SealogError("invalid_argument", `the mode ${mode} is none of redact, mask, remove; hashing is the server's`);
  }
  return mode;
}

function hide(mode: RedactionMode, value: Json): string {
  if (mode !== "mask" || (typeof value !== "string" && typeof value !== "number")) {
    return REDACTED;
  }
  return typeof value === "string" && isHidden(value) ? value : mask(String(value));
}

function mask(text: string): string {
  const chars = Array.from(text);
  return MASK + (chars.length > MASK_SHOWN_CHARS ? chars.slice(-MASK_SHOWN_CHARS).join("") : "");
}

/** Whether a text already stands in the place of a hidden value. */
function isHidden(text: string): boolean {
  return (
    text === REDACTED ||
    text === MASK ||
    (text.startsWith(MASK) && Array.from(text.slice(MASK.length)).length === MASK_SHOWN_CHARS) ||
    /^hmac:[0-9a-f]{64}$/.test(text)
  );
}
