// What an event becomes before it reaches the component.
import type { Value } from "convex/values";
import { isObject, Redactor, toJson, type JsonObject, type Redactable, type RedactionOptions } from "sealog/policy";
import type { NewEvent } from "../component/validators.js";
import { checkEvent } from "./rules.js";

/** Hides what the options name, and makes JSON of documents: what is stored is what will be sealed. */
export class Preparer {
  readonly #redactor: Redactor;

  constructor(options: RedactionOptions) {
    this.#redactor = new Redactor(options);
  }

  /** An event to be logged; an error where it is none. */
  event(given: object): NewEvent {
    const event = this.copy(given);
    checkEvent(event);
    return event;
  }

  /** An event that was logged elsewhere, as it is. */
  copy(given: object): NewEvent {
    const event = toJson(plain(given), "the event") as JsonObject & NewEvent;
    for (const name of Object.keys(event)) {
      // A state may be null; of anything else it says that there is none.
      if (event[name] === null && name !== "before" && name !== "after") {
        delete event[name];
      }
    }
    if (event.metadata !== undefined && !isObject(event.metadata)) {
      // Metadata is an object at the server.
      event.metadata = { value: event.metadata };
    }
    this.#redactor.redact(event as Redactable);
    return event;
  }
}

/** A value of Convex in JSON: an Int64 is a number, or its digits as text where a number would round it; bytes are Base64. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  }
  if (value instanceof ArrayBuffer) {
    return btoa(Array.from(new Uint8Array(value), (byte) => String.fromCharCode(byte)).join(""));
  }
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  const isPlain = typeof value === "object" && value !== null && !("toJSON" in value);
  return isPlain
    ? Object.fromEntries(Object.entries(value as Record<string, Value>).map(([name, inner]) => [name, plain(inner)]))
    : value;
}
