export { AuditActions, type AuditAction } from "./actions.js";
export { AuditLog, type AuditLogOptions, type WatchOptions } from "./client.js";
export { generateDiff, readableDiff } from "./diff.js";
export { SealogError, type ClientErrorCode, type ErrorCode, type ServerErrorCode } from "./error.js";
export { verifyProof, type VerifiedEvent } from "./proof.js";
export { DEFAULT_REDACTED_FIELDS, type RedactionMode, type RedactionOptions } from "./redact.js";
export type { Credential, Environment, RetryOptions } from "./transport.js";
export type * from "./types.js";
