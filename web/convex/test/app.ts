// An application with the component, as tests use it.
import { convexTest } from "convex-test";
import {
  componentsGeneric,
  defineSchema,
  defineTable,
  type GenericActionCtx,
  type GenericDataModel,
  type GenericMutationCtx,
} from "convex/server";
import { v } from "convex/values";
import { AuditLog, type AuditLogOptions } from "../src/client/index.js";
import type { ComponentApi } from "../src/component/_generated/component.js";
import { register } from "../src/test.js";

export const components = componentsGeneric() as unknown as { auditLog: ComponentApi<"auditLog"> };
const schema = defineSchema({ notes: defineTable({ title: v.string() }) });

export type MutationCtx = GenericMutationCtx<GenericDataModel>;
export type ActionCtx = GenericActionCtx<GenericDataModel>;

/** In the component's own place, to look at its tables. */
export function inside<T>(t: unknown, handler: (ctx: any) => Promise<T>): Promise<T> {
  return (t as { runInComponent(path: string, handler: (ctx: any) => Promise<T>): Promise<T> }).runInComponent(
    "auditLog",
    handler,
  );
}

/** An application, its log, and ways to be in a function of it. `modules` are its own functions. */
export function app(options: AuditLogOptions = {}, modules: Record<string, object> = {}) {
  const loaders = Object.entries(modules).map(([name, module]) => [`./app/${name}.ts`, async () => module]);
  const t = convexTest({
    schema,
    modules: { "./app/_generated/api.ts": async () => ({}), ...Object.fromEntries(loaders) },
    // As Convex would end a function that reads or writes too much.
    transactionLimits: true,
  });
  register(t);
  return {
    t,
    log: new AuditLog(components.auditLog, options),
    /** In a transaction. */
    run: <T>(handler: (ctx: MutationCtx) => Promise<T>): Promise<T> =>
      t.mutation((ctx) => handler(ctx as unknown as MutationCtx)) as Promise<T>,
    act: <T>(handler: (ctx: ActionCtx) => Promise<T>): Promise<T> =>
      t.action((ctx) => handler(ctx as unknown as ActionCtx)) as Promise<T>,
  };
}
