import { convexTest } from "convex-test";
import auditLog from "sealog-convex/test";
import schema from "../convex/schema";

export function application() {
  const t = convexTest(schema, import.meta.glob("../convex/**/*.ts"));
  auditLog.register(t);
  return t;
}
