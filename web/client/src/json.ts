import { SealogError } from "./error.js";

/** Any JSON. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** An object of JSON. */
export type JsonObject = { [name: string]: Json };

/** Whether it is an object: neither `null` nor a list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as it will be sent: dates are texts, and what JSON does not know is gone. */
export function toJson(value: unknown, what: string): Json | undefined {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new SealogError("invalid_argument", `${what} cannot be written as JSON`, { cause });
  }
  return text === undefined ? undefined : (JSON.parse(text) as Json);
}

/** The order of names in canonical JSON: by UTF-16 code units, which is that of JavaScript. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Canonical JSON (RFC 8785). Integers beyond 2^53 are what `JSON.parse` made of them. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonicalJson).join(",")}]`;
  }
  if (isObject(value)) {
    const members = Object.keys(value)
      .sort(compareNames)
      .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name]!)}`);
    return `{${members.join(",")}}`;
  }
  return JSON.stringify(value);
}

/** Whether two values are the same JSON, whatever the order of their members. */
export function equalJson(a: Json, b: Json): boolean {
  return a === b || (typeof a === "object" && typeof b === "object" && canonicalJson(a) === canonicalJson(b));
}

/** The segments of a JSON Pointer (RFC 6901). */
export function pointerSegments(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** A segment as it stands in a JSON Pointer. */
export function escapeSegment(segment: string): string {
  return segment.replaceAll("~", "~0").replaceAll("/", "~1");
}
