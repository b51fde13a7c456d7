import type { FunctionReturnType, GenericActionCtx, GenericDataModel } from "convex/server";
import type { ComponentApi } from "../component/_generated/component.js";
import type {
  Anomaly,
  AnomalyPattern,
  AuditLogEntry,
  AuditLogStats,
  CleanupOptions,
  ConfigOptions,
  Defaults,
  ForwardingStatus,
  NewEvent,
  PaginationOptions,
  QueryFilters,
  Report,
  ReportArgs,
  Severity,
} from "../component/validators.js";
import { migrateFrom, type Migrated, type MigrateOptions, type OldAuditLog } from "./migrate.js";
import { retentionOf, samplingOf, type AuditLogOptions } from "./options.js";
import { Preparer } from "./prepare.js";

export { AuditActions, type AuditAction } from "sealog";
export { exposeAuditLogApi, exposeSealogApi, type Authorize, type ExposeOptions, type Operation } from "./expose.js";
export type { Migrated, MigrateOptions, OldAuditLog } from "./migrate.js";
export type { AuditLogOptions } from "./options.js";
export type {
  Anomaly,
  AnomalyPattern,
  AuditLogEntry,
  AuditLogStats,
  CleanupOptions,
  ConfigOptions,
  ForwardingStatus,
  PaginationOptions,
  QueryFilters,
  Report,
  ReportArgs,
  Severity,
} from "../component/validators.js";

/** `components.auditLog`, as `convex/_generated/api` has it. */
export type AuditLogComponent = ComponentApi<any>;
/** The same, by its name in `convex-audit-log`. */
export type AuditLogComponentApi = AuditLogComponent;

// What an action has of these, queries and mutations have as well.
type ActionCtx = GenericActionCtx<GenericDataModel>;
type RunQuery = Pick<ActionCtx, "runQuery">;
type RunMutation = Pick<ActionCtx, "runQuery" | "runMutation">;
type RunAction = Pick<ActionCtx, "runQuery" | "runMutation" | "runAction">;

/** What happened. Only the action is required; `severity` is `info` unless given, and `timestamp` now. */
export type AuditEventInput = Omit<NewEvent, "before" | "after" | "changed" | "generateDiff" | "metadata"> & {
  metadata?: unknown;
};

/** A change of a resource. `null` is a state too: what `ctx.db.get` answers of what is not there. */
export type ChangeEventInput = Omit<AuditEventInput, "resourceType" | "resourceId"> & {
  resourceType: string;
  resourceId: string;
  before?: unknown;
  after?: unknown;
  /** `false` where the text of the diff is not wanted. */
  generateDiff?: boolean;
};

/** A list, and whether it is all that was asked for. */
export type ListOf<T> = T[] & {
  /** `false` where events that it asks for have left Convex for the server: `auditLog.sealog` has them. */
  complete: boolean;
};

/** Events, the newest first. */
export type AuditLogList = ListOf<AuditLogEntry>;

export interface PaginatedResult<T> {
  items: T[];
  /** What leads to the page behind this one; `null` where there is none. */
  cursor: string | null;
  hasMore: boolean;
  /** As in a list. */
  complete: boolean;
}

/** The arguments of the questions, by their names. */
export interface Questions {
  queryByResource: { resourceType: string; resourceId: string; limit?: number; fromTimestamp?: number };
  queryByActor: { actorId: string; limit?: number; fromTimestamp?: number; actions?: string[] };
  queryBySeverity: { severity: Severity[]; limit?: number; fromTimestamp?: number };
  queryByAction: { action: string; limit?: number; fromTimestamp?: number };
  search: { filters: QueryFilters; pagination: PaginationOptions };
  watchCritical: { severity?: Severity[]; limit?: number };
  getStats: { fromTimestamp?: number; toTimestamp?: number };
}

/**
 * The audit log of a Convex application.
 *
 * ```ts
 * const auditLog = new AuditLog(components.auditLog, { piiFields: ["email"] });
 * await auditLog.log(ctx, { action: "user.login", actorId: userId, severity: "info" });
 * ```
 *
 * What is logged in a mutation is there with whatever else that mutation does, or not at all.
 */
export class AuditLog {
  readonly component: AuditLogComponent;
  readonly options: AuditLogOptions;
  /** The same questions, asked of the Sealog server. They take the context of an action. */
  readonly sealog: SealogQuestions;
  readonly #preparer: Preparer;
  readonly #sampling: { sampling?: number };
  readonly #retention: Defaults;

  constructor(component: AuditLogComponent, options: AuditLogOptions = {}) {
    this.component = component;
    this.options = options;
    this.sealog = new SealogQuestions(component);
    this.#preparer = new Preparer(options);
    this.#sampling = samplingOf(options);
    this.#retention = retentionOf(options);
  }

  /** Logs an event, and answers its `_id`: `""` where sampling left it out. The same `id` again is the same event. */
  log(ctx: RunMutation, event: AuditEventInput): Promise<string> {
    return ctx.runMutation(this.component.lib.log, { event: this.#preparer.event(event), ...this.#sampling });
  }

  /** Logs a change of a resource, with what differs. */
  logChange(ctx: RunMutation, change: ChangeEventInput): Promise<string> {
    return ctx.runMutation(this.component.lib.log, { event: this.#preparer.event(change), ...this.#sampling });
  }

  /** Logs events together, and answers their `_id`s. */
  logBulk(ctx: RunMutation, events: readonly (AuditEventInput | ChangeEventInput)[]): Promise<string[]> {
    const prepared = events.map((event) => this.#preparer.event(event));
    return ctx.runMutation(this.component.lib.logBulk, { events: prepared, ...this.#sampling });
  }

  /** What happened to a resource, the newest first; 50 events unless `limit` says otherwise. */
  async queryByResource(ctx: RunQuery, args: Questions["queryByResource"]): Promise<AuditLogList> {
    return listOf(await ctx.runQuery(this.component.lib.queryByResource, args));
  }

  /** What an actor did, the newest first. */
  async queryByActor(ctx: RunQuery, args: Questions["queryByActor"]): Promise<AuditLogList> {
    return listOf(await ctx.runQuery(this.component.lib.queryByActor, args));
  }

  /** What matters so much, the newest first. */
  async queryBySeverity(ctx: RunQuery, args: Questions["queryBySeverity"]): Promise<AuditLogList> {
    return listOf(await ctx.runQuery(this.component.lib.queryBySeverity, args));
  }

  /** Each time that something was done, the newest first. */
  async queryByAction(ctx: RunQuery, args: Questions["queryByAction"]): Promise<AuditLogList> {
    return listOf(await ctx.runQuery(this.component.lib.queryByAction, args));
  }

  /**
   * A page of all that the filters select, the newest first. A page may be short, or empty, and still have more behind
   * it, where much had to be looked at; its cursor leads on until `hasMore` is `false`.
   */
  search(ctx: RunQuery, args: Questions["search"]): Promise<PaginatedResult<AuditLogEntry>> {
    return ctx.runQuery(this.component.lib.search, args);
  }

  /** The newest errors and critical events, or those of other severities; 20 unless `limit` says otherwise. */
  async watchCritical(ctx: RunQuery, args: Questions["watchCritical"] = {}): Promise<AuditLogList> {
    return listOf(await ctx.runQuery(this.component.lib.watchCritical, args));
  }

  /** One event, by its `_id`; `null` where there is none. That it has left Convex, where `sealog.get` has it, is an error. */
  get(ctx: RunQuery, id: string): Promise<AuditLogEntry | null> {
    return ctx.runQuery(this.component.lib.get, { id });
  }

  /** How many events there are from a time to another, both included: of the last 24 hours unless given. Exact. */
  getStats(ctx: RunQuery, args: Questions["getStats"] = {}): Promise<AuditLogStats> {
    return ctx.runQuery(this.component.lib.getStats, args);
  }

  /** Which patterns are met now. */
  async detectAnomalies(ctx: RunQuery, patterns: AnomalyPattern[]): Promise<ListOf<Anomaly>> {
    return listOf(await ctx.runQuery(this.component.lib.detectAnomalies, { patterns }));
  }

  /**
   * A page of a report of all events from `startDate` to `endDate`, both included, the oldest first: up to 10,000 of
   * them, or `maxRecords`. With the `cursor` of a page comes the next one; pages of CSV put together are one table.
   */
  generateReport(ctx: RunQuery, args: ReportArgs): Promise<Report> {
    return ctx.runQuery(this.component.lib.generateReport, args);
  }

  /** All pages of a report, one after the other. In an action each is a query of its own, so there is no end to them. */
  async *reportPages(ctx: RunQuery, args: ReportArgs): AsyncGenerator<Report, void, void> {
    for (let cursor = args.cursor; ;) {
      const page = await this.generateReport(ctx, { ...args, ...(cursor === undefined ? {} : { cursor }) });
      yield page;
      cursor = page.cursor;
      if (cursor === null) {
        return;
      }
    }
  }

  /**
   * Removes what was kept long enough, and answers how many events went at once. What `batchSize` leaves over is done
   * by scheduled functions, until nothing is left. What the server is yet to get stays, and with `includeRefused` goes what
   * it refused.
   */
  cleanup(ctx: RunMutation, options: CleanupOptions = {}): Promise<number> {
    return ctx.runMutation(this.component.lib.cleanup, { ...options, defaults: this.#retention });
  }

  /** The settings, with the defaults for what they do not say; `null` before the first `updateConfig`. */
  getConfig(ctx: RunQuery): Promise<FunctionReturnType<AuditLogComponent["lib"]["getConfig"]>> {
    return ctx.runQuery(this.component.lib.getConfig, { defaults: this.#retention });
  }

  /** Changes what is named. It holds at once. */
  updateConfig(ctx: RunMutation, options: ConfigOptions): Promise<string> {
    return ctx.runMutation(this.component.lib.updateConfig, options);
  }

  /** From which time on every event is here: what happened before may be with the server alone. `null`: all is here. */
  coverage(ctx: RunQuery): Promise<number | null> {
    return ctx.runQuery(this.component.lib.coverage, {});
  }

  /** How forwarding to the server stands. */
  forwardingStatus(ctx: RunQuery): Promise<ForwardingStatus> {
    return ctx.runQuery(this.component.lib.forwardingStatus, {});
  }

  /**
   * Has events sent again that the server refused, up to 500 of them or 4 MiB in one call, and what waits sent at once; answers
   * how many of the refused ones it were.
   */
  forwardAgain(ctx: RunMutation): Promise<number> {
    return ctx.runMutation(this.component.lib.forwardAgain, {});
  }

  /**
   * Copies all events of an installed `convex-audit-log`, in batches. Called from an action. What is there already is
   * not copied again, so it may be called as often as one likes: until `isDone`, and once more after the switch.
   */
  migrateFrom(ctx: RunAction, old: OldAuditLog, options?: MigrateOptions): Promise<Migrated> {
    return migrateFrom(ctx, old, this.component, this.#preparer, options);
  }
}

/** The questions, as the server answers them: of the whole history, but for what is not forwarded yet. */
export class SealogQuestions {
  readonly #component: AuditLogComponent;

  constructor(component: AuditLogComponent) {
    this.#component = component;
  }

  async queryByResource(ctx: RunAction, args: Questions["queryByResource"]): Promise<AuditLogList> {
    return listOf(await ctx.runAction(this.#component.sealog.queryByResource, args));
  }

  async queryByActor(ctx: RunAction, args: Questions["queryByActor"]): Promise<AuditLogList> {
    return listOf(await ctx.runAction(this.#component.sealog.queryByActor, args));
  }

  async queryBySeverity(ctx: RunAction, args: Questions["queryBySeverity"]): Promise<AuditLogList> {
    return listOf(await ctx.runAction(this.#component.sealog.queryBySeverity, args));
  }

  async queryByAction(ctx: RunAction, args: Questions["queryByAction"]): Promise<AuditLogList> {
    return listOf(await ctx.runAction(this.#component.sealog.queryByAction, args));
  }

  search(ctx: RunAction, args: Questions["search"]): Promise<PaginatedResult<AuditLogEntry>> {
    return ctx.runAction(this.#component.sealog.search, args);
  }

  async watchCritical(ctx: RunAction, args: Questions["watchCritical"] = {}): Promise<AuditLogList> {
    return listOf(await ctx.runAction(this.#component.sealog.watchCritical, args));
  }

  get(ctx: RunAction, id: string): Promise<AuditLogEntry | null> {
    return ctx.runAction(this.#component.sealog.get, { id });
  }

  getStats(ctx: RunAction, args: Questions["getStats"] = {}): Promise<AuditLogStats> {
    return ctx.runAction(this.#component.sealog.getStats, args);
  }

  async detectAnomalies(ctx: RunAction, patterns: AnomalyPattern[]): Promise<ListOf<Anomaly>> {
    return listOf(await ctx.runAction(this.#component.sealog.detectAnomalies, { patterns }));
  }

  generateReport(ctx: RunAction, args: ReportArgs): Promise<Report> {
    return ctx.runAction(this.#component.sealog.generateReport, args);
  }

  /** A file that shows that an event is in the server's log: `verifyProof` of `sealog` checks it, without the log. */
  getProof(ctx: RunAction, id: string): Promise<string> {
    return ctx.runAction(this.#component.sealog.getProof, { id });
  }
}

function listOf<T>({ items, complete }: { items: T[]; complete: boolean }): ListOf<T> {
  // Not enumerable: to whoever compares or copies it, it is the plain array that it always was.
  return Object.defineProperty(items, "complete", { value: complete }) as ListOf<T>;
}
