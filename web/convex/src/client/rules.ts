// What the server asks of an event. What it would refuse for good is refused here, where the caller learns of it.
import { canonicalJson, isObject, type Json } from "sealog/policy";
import type { NewEvent } from "../component/validators.js";

/** The log's own actions begin so. */
const RESERVED = "sealog";
const MAX_ACTION_BYTES = 256;
const MAX_ID_BYTES = 256;
const MAX_FIELD_BYTES = 1024;
const MAX_USER_AGENT_BYTES = 4 * 1024;
const MAX_TAGS = 64;
const MAX_TAG_BYTES = 256;
/** Two less than at the server: the event's id goes along in there. */
const MAX_METADATA_BYTES = 254 * 1024;
const MAX_STATE_BYTES = 1024 * 1024;

/** How long a text may be, and whether it may be empty: what identifies something may not. */
const TEXTS: [keyof NewEvent, number, boolean?][] = [
  ["action", MAX_ACTION_BYTES],
  ["id", MAX_ID_BYTES],
  ["actorId", MAX_FIELD_BYTES],
  ["actorType", MAX_FIELD_BYTES],
  ["actorName", MAX_FIELD_BYTES, true],
  ["onBehalfOf", MAX_FIELD_BYTES],
  ["resourceType", MAX_FIELD_BYTES],
  ["resourceId", MAX_FIELD_BYTES],
  ["ipAddress", MAX_FIELD_BYTES, true],
  ["sessionId", MAX_FIELD_BYTES],
  ["requestId", MAX_FIELD_BYTES],
  ["tenant", MAX_FIELD_BYTES],
  ["retentionCategory", MAX_FIELD_BYTES],
  ["userAgent", MAX_USER_AGENT_BYTES, true],
];
const DOCUMENTS: [keyof NewEvent, number][] = [
  ["metadata", MAX_METADATA_BYTES],
  ["before", MAX_STATE_BYTES],
  ["after", MAX_STATE_BYTES],
];

const encoder = new TextEncoder();

/** Throws where the event breaks a rule. Whether a field has the right type is the component's to say. */
export function checkEvent(event: NewEvent): void {
  if (typeof event.action !== "string" || event.action.trim() === "") {
    throw new Error("an event has an action, such as user.login");
  }
  if (event.action.split(".")[0]!.trim().toLowerCase() === RESERVED) {
    throw new Error(`${event.action} is no action for callers: ${RESERVED}.* is the log's own`);
  }
  for (const [name, bytes, mayBeEmpty] of TEXTS) {
    checkText(name, event[name], bytes, mayBeEmpty);
  }
  if (event.resourceId !== undefined && event.resourceType === undefined) {
    throw new Error("a resourceId needs the resourceType that it is an id of");
  }
  if (Array.isArray(event.tags)) {
    checkSize("tags", event.tags.length, MAX_TAGS, "tags");
    event.tags.forEach((tag, at) => checkText(`tags.${at}`, tag, MAX_TAG_BYTES));
  }
  for (const [name, bytes] of DOCUMENTS) {
    if (event[name] !== undefined) {
      checkNoNul(name, event[name]);
      checkSize(name, encoder.encode(canonicalJson(event[name] as Json)).length, bytes, "bytes of JSON");
    }
  }
}

function checkText(name: string, text: unknown, bytes: number, mayBeEmpty = false): void {
  if (typeof text !== "string") {
    return;
  }
  if (text === "" && !mayBeEmpty) {
    throw new Error(`${name} is empty; leave it out where there is none`);
  }
  checkSize(name, encoder.encode(text).length, bytes, "bytes");
  checkNoNul(name, text);
}

function checkSize(name: string, size: number, most: number, unit: string): void {
  if (size > most) {
    throw new Error(`${name} has ${size} ${unit}; the limit is ${most}`);
  }
}

/** A NUL character, in a text or in a name. */
function checkNoNul(name: string, value: unknown): void {
  if (typeof value === "string" && value.includes("\0")) {
    throw new Error(`${name} holds a NUL character`);
  }
  if (Array.isArray(value)) {
    value.forEach((item) => checkNoNul(name, item));
  } else if (isObject(value)) {
    Object.entries(value).forEach(([key, inner]) => [key, inner].forEach((part) => checkNoNul(name, part)));
  }
}
