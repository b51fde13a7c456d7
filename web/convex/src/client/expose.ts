import {
  actionGeneric,
  mutationGeneric,
  queryGeneric,
  type Auth,
  type GenericActionCtx,
  type GenericDataModel,
  type GenericQueryCtx,
  type RegisteredAction,
  type RegisteredQuery,
} from "convex/server";
import type { ObjectType, PropertyValidators } from "convex/values";
import type { ComponentApi } from "../component/_generated/component.js";
import { cleanupArgs, questionArgs, vNewEvent } from "../component/validators.js";
import { retentionOf, samplingOf, type AuditLogOptions } from "./options.js";
import { Preparer } from "./prepare.js";

/** What somebody wants to do, and with which arguments: `{ type: "read", name: "queryByResource", args: { … } }`. */
export interface Operation {
  type: "read" | "write" | "admin";
  /** The function's name. */
  name: string;
  args: Record<string, unknown>;
}

/**
 * Says whether somebody may: it throws where they may not, and answers who it is. It is asked before anything is read
 * or written.
 */
export type Authorize = (ctx: { auth: Auth }, operation: Operation) => Promise<string | null>;

interface Shape<Complete extends boolean> {
  /**
   * `true` where lists are to be answered as `{ items, complete }`, so that browsers too learn what has left Convex.
   * Default: plain arrays.
   */
  withComplete?: Complete;
}

/** The options of `AuditLog`, which hold here as there, and who may do what. */
export interface ExposeOptions<Complete extends boolean = false> extends AuditLogOptions, Shape<Complete> {
  auth: Authorize;
}

/** A list on its way to a browser, where arrays have no properties. */
type Told<T, Complete extends boolean> = Complete extends true ? { items: T[]; complete: boolean } : T[];

function tellWith<Complete extends boolean>(withComplete: Complete | undefined) {
  return async <T>(answer: Promise<{ items: T[]; complete: boolean }>): Promise<Told<T, Complete>> => {
    const list = await answer;
    return (withComplete ? list : list.items) as Told<T, Complete>;
  };
}

/** What a browser does not say of itself: who it is, from where and since when, how long that is kept, and which id it has. */
const NOT_FOR_BROWSERS = [
  "id",
  "timestamp",
  "actorId",
  "actorName",
  "actorType",
  "onBehalfOf",
  "tenant",
  "ipAddress",
  "sessionId",
  "retentionCategory",
  "changed",
] as const;

type QueryCtx = GenericQueryCtx<GenericDataModel>;
type ActionCtx = GenericActionCtx<GenericDataModel>;

/**
 * Functions for browsers: every question for `read`, `log` for `write`, under the name that `auth` answers, and
 * `cleanup` for `admin`. `log` takes nothing that says who somebody is, from where, or how long the event is kept.
 *
 * ```ts
 * export const { queryByResource, getStats } = exposeAuditLogApi(components.auditLog, {
 *   auth: async (ctx) => {
 *     const user = await ctx.auth.getUserIdentity();
 *     if (!user) throw new Error("Unauthorized");
 *     return user.subject;
 *   },
 * });
 * ```
 */
export function exposeAuditLogApi<Complete extends boolean = false>(
  { lib }: ComponentApi<any>,
  { auth, withComplete, ...options }: ExposeOptions<Complete>,
) {
  const tell = tellWith(withComplete);
  const preparer = new Preparer(options);
  const sampling = samplingOf(options);
  const defaults = retentionOf(options);
  const read = <Args extends PropertyValidators, Answer>(
    name: string,
    args: Args,
    answer: (ctx: QueryCtx, args: ObjectType<Args>) => Promise<Answer>,
  ): RegisteredQuery<"public", ObjectType<Args>, Promise<Answer>> =>
    queryGeneric({
      args: args as PropertyValidators,
      handler: async (ctx, given) => {
        await auth(ctx, { type: "read", name, args: given });
        return await answer(ctx, given as ObjectType<Args>);
      },
    }) as RegisteredQuery<"public", ObjectType<Args>, Promise<Answer>>;

  return {
    queryByResource: read("queryByResource", questionArgs.queryByResource, (ctx, args) =>
      tell(ctx.runQuery(lib.queryByResource, args)),
    ),
    queryByActor: read("queryByActor", questionArgs.queryByActor, (ctx, args) =>
      tell(ctx.runQuery(lib.queryByActor, args)),
    ),
    queryBySeverity: read("queryBySeverity", questionArgs.queryBySeverity, (ctx, args) =>
      tell(ctx.runQuery(lib.queryBySeverity, args)),
    ),
    queryByAction: read("queryByAction", questionArgs.queryByAction, (ctx, args) =>
      tell(ctx.runQuery(lib.queryByAction, args)),
    ),
    watchCritical: read("watchCritical", questionArgs.watchCritical, (ctx, args) =>
      tell(ctx.runQuery(lib.watchCritical, args)),
    ),
    search: read("search", questionArgs.search, (ctx, args) => ctx.runQuery(lib.search, args)),
    get: read("get", questionArgs.get, (ctx, args) => ctx.runQuery(lib.get, args)),
    getStats: read("getStats", questionArgs.getStats, (ctx, args) => ctx.runQuery(lib.getStats, args)),
    detectAnomalies: read("detectAnomalies", questionArgs.detectAnomalies, (ctx, args) =>
      tell(ctx.runQuery(lib.detectAnomalies, args)),
    ),
    generateReport: read("generateReport", questionArgs.generateReport, (ctx, args) => ctx.runQuery(lib.generateReport, args)),
    getConfig: read("getConfig", {}, (ctx) => ctx.runQuery(lib.getConfig, { defaults })),
    coverage: read("coverage", {}, (ctx) => ctx.runQuery(lib.coverage, {})),
    forwardingStatus: read("forwardingStatus", {}, (ctx) => ctx.runQuery(lib.forwardingStatus, {})),
    log: mutationGeneric({
      args: { event: vNewEvent.omit(...NOT_FOR_BROWSERS) },
      handler: async (ctx, args) => {
        const actorId = await auth(ctx, { type: "write", name: "log", args });
        const event = preparer.event({ ...args.event, ...(actorId ? { actorId } : {}) });
        return await ctx.runMutation(lib.log, { event, ...sampling });
      },
    }),
    cleanup: mutationGeneric({
      args: cleanupArgs,
      handler: async (ctx, args) => {
        await auth(ctx, { type: "admin", name: "cleanup", args });
        return await ctx.runMutation(lib.cleanup, { ...args, defaults });
      },
    }),
  };
}

/**
 * Actions for browsers that answer from the server, by the same names and with the same arguments:
 * `useAction(api.history.search)`.
 */
export function exposeSealogApi<Complete extends boolean = false>(
  { sealog }: ComponentApi<any>,
  { auth, withComplete }: { auth: Authorize } & Shape<Complete>,
) {
  const tell = tellWith(withComplete);
  const read = <Args extends PropertyValidators, Answer>(
    name: string,
    args: Args,
    answer: (ctx: ActionCtx, args: ObjectType<Args>) => Promise<Answer>,
  ): RegisteredAction<"public", ObjectType<Args>, Promise<Answer>> =>
    actionGeneric({
      args: args as PropertyValidators,
      handler: async (ctx, given) => {
        await auth(ctx, { type: "read", name, args: given });
        return await answer(ctx, given as ObjectType<Args>);
      },
    }) as RegisteredAction<"public", ObjectType<Args>, Promise<Answer>>;

  return {
    queryByResource: read("queryByResource", questionArgs.queryByResource, (ctx, args) =>
      tell(ctx.runAction(sealog.queryByResource, args)),
    ),
    queryByActor: read("queryByActor", questionArgs.queryByActor, (ctx, args) =>
      tell(ctx.runAction(sealog.queryByActor, args)),
    ),
    queryBySeverity: read("queryBySeverity", questionArgs.queryBySeverity, (ctx, args) =>
      tell(ctx.runAction(sealog.queryBySeverity, args)),
    ),
    queryByAction: read("queryByAction", questionArgs.queryByAction, (ctx, args) =>
      tell(ctx.runAction(sealog.queryByAction, args)),
    ),
    watchCritical: read("watchCritical", questionArgs.watchCritical, (ctx, args) =>
      tell(ctx.runAction(sealog.watchCritical, args)),
    ),
    search: read("search", questionArgs.search, (ctx, args) => ctx.runAction(sealog.search, args)),
    get: read("get", questionArgs.get, (ctx, args) => ctx.runAction(sealog.get, args)),
    getStats: read("getStats", questionArgs.getStats, (ctx, args) => ctx.runAction(sealog.getStats, args)),
    detectAnomalies: read("detectAnomalies", questionArgs.detectAnomalies, (ctx, args) =>
      tell(ctx.runAction(sealog.detectAnomalies, args)),
    ),
    generateReport: read("generateReport", questionArgs.generateReport, (ctx, args) =>
      ctx.runAction(sealog.generateReport, args),
    ),
    getProof: read("getProof", questionArgs.get, (ctx, args) => ctx.runAction(sealog.getProof, args)),
  };
}
