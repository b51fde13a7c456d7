/* eslint-disable */
// As `npx convex dev` writes it.
import { anyApi, componentsGeneric, type ApiFromModules, type FilterApi, type FunctionReference } from "convex/server";
import type * as audit from "../audit.js";
import type * as notes from "../notes.js";
import type * as upkeep from "../upkeep.js";

const fullApi: ApiFromModules<{ audit: typeof audit; notes: typeof notes; upkeep: typeof upkeep }> = anyApi as any;

export const api: FilterApi<typeof fullApi, FunctionReference<any, "public">> = anyApi as any;
export const internal: FilterApi<typeof fullApi, FunctionReference<any, "internal">> = anyApi as any;
export const components = componentsGeneric() as unknown as {
  auditLog: import("sealog-convex/_generated/component.js").ComponentApi<"auditLog">;
};
