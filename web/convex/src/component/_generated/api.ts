/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type * as anomalies from "../anomalies.js";
import type * as counters from "../counters.js";
import type * as crons from "../crons.js";
import type * as events from "../events.js";
import type * as forwarding from "../forwarding.js";
import type * as lib from "../lib.js";
import type * as reports from "../reports.js";
import type * as retention from "../retention.js";
import type * as sealog from "../sealog.js";
import type * as streams from "../streams.js";
import type * as validators from "../validators.js";

import type {
  ApiFromModules,
  FilterApi,
  FunctionReference,
} from "convex/server";
import { anyApi, componentsGeneric } from "convex/server";

const fullApi: ApiFromModules<{
  anomalies: typeof anomalies;
  counters: typeof counters;
  crons: typeof crons;
  events: typeof events;
  forwarding: typeof forwarding;
  lib: typeof lib;
  reports: typeof reports;
  retention: typeof retention;
  sealog: typeof sealog;
  streams: typeof streams;
  validators: typeof validators;
}> = anyApi as any;

/**
 * A utility for referencing Convex functions in your app's public API.
 */
export const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
> = anyApi as any;

/**
 * A utility for referencing Convex functions in your app's internal API.
 */
export const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
> = anyApi as any;

export const components = componentsGeneric() as unknown as {};
