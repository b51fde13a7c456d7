/* eslint-disable */
/**
 * Generated utilities for implementing server-side Convex query and mutation functions.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type {
  ActionBuilder,
  GenericActionCtx,
  GenericDatabaseReader,
  GenericDatabaseWriter,
  GenericMutationCtx,
  GenericQueryCtx,
  HttpActionBuilder,
  MutationBuilder,
  QueryBuilder,
} from "convex/server";
import {
  actionGeneric,
  httpActionGeneric,
  internalActionGeneric,
  internalMutationGeneric,
  internalQueryGeneric,
  mutationGeneric,
  queryGeneric,
} from "convex/server";
import type { DataModel } from "./dataModel.js";

interface Env {
  readonly CONVEX_CLOUD_URL: string;
  readonly CONVEX_SITE_URL: string;
  readonly SEALOG_API_KEY?: string;
  readonly SEALOG_BACKOFF_MS?: string;
  readonly SEALOG_READ_KEY?: string;
  readonly SEALOG_URL?: string;
}

/** Define a query in this component's public API. */
export const query: QueryBuilder<DataModel, "public"> = queryGeneric;
/** Define a query that is only accessible from this component. */
export const internalQuery: QueryBuilder<DataModel, "internal"> =
  internalQueryGeneric;
/** Define a mutation in this component's public API. */
export const mutation: MutationBuilder<DataModel, "public"> = mutationGeneric;
/** Define a mutation that is only accessible from this component. */
export const internalMutation: MutationBuilder<DataModel, "internal"> =
  internalMutationGeneric;
/** Define an action in this component's public API. */
export const action: ActionBuilder<DataModel, "public"> = actionGeneric;
/** Define an action that is only accessible from this component. */
export const internalAction: ActionBuilder<DataModel, "internal"> =
  internalActionGeneric;
/** Define an HTTP action. */
export const httpAction: HttpActionBuilder = httpActionGeneric;

/** Typesafe environment variables, as declared in `convex.config.ts`. */
export const env: Env = (globalThis as unknown as { process: { env: Env } })
  .process.env;

export type QueryCtx = GenericQueryCtx<DataModel>;
export type MutationCtx = GenericMutationCtx<DataModel>;
export type ActionCtx = GenericActionCtx<DataModel>;
export type DatabaseReader = GenericDatabaseReader<DataModel>;
export type DatabaseWriter = GenericDatabaseWriter<DataModel>;
