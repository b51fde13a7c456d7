/// <reference types="vite/client" />
import type { TestConvex } from "convex-test";
import type { GenericSchema, SchemaDefinition } from "convex/server";
import schema from "./component/schema.js";

const modules = import.meta.glob("./component/**/*.ts");

/**
 * Registers the component with an application under test.
 *
 * @param t what `convexTest` made
 * @param name the component's name in `convex.config.ts`
 */
export function register(t: TestConvex<SchemaDefinition<GenericSchema, boolean>>, name = "auditLog"): void {
  t.registerComponent(name, schema, modules);
}

export default { register, schema, modules };
