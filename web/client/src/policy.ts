// What an event becomes before it is logged, for those who store events themselves before a server gets them.
export { generateDiff, readableDiff, type DiffOp } from "./diff.js";
export { canonicalJson, equalJson, isObject, toJson, type Json, type JsonObject } from "./json.js";
export { REDACTED, Redactor, type Redactable, type RedactionOptions } from "./redact.js";
