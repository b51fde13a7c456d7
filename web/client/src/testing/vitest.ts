// To import once, in a set-up file: `expect(log).toHaveLogged(…)` is there then, with its type.
import { expect } from "vitest";
import { matchers, type AuditLogMatchers } from "./index.js";

expect.extend(matchers);

declare module "vitest" {
  interface Matchers<T = any> extends AuditLogMatchers<T> {}
}
