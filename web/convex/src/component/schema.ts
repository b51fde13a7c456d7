import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { configArgs, vEventFields } from "./validators.js";

export default defineSchema({
  /** The events. What they hold is never changed; what the server answers is added. */
  auditLogs: defineTable({
    ...vEventFields,
    /** JSON Pointers to hidden values that differ between `before` and `after`. */
    changed: v.optional(v.array(v.string())),
    /** When it was committed: the order in which events are forwarded. Creation times are no such order. */
    commitTs: v.commitTs(),
    /** Its number among those that were sent again: what one commit sends again was made by several. */
    resent: v.optional(v.number()),
  })
    .index("by_timestamp", ["timestamp"])
    .index("by_action", ["action", "timestamp"])
    .index("by_actor", ["actorId", "timestamp"])
    .index("by_actor_action", ["actorId", "action", "timestamp"])
    .index("by_resource", ["resourceType", "resourceId", "timestamp"])
    .index("by_resource_type", ["resourceType", "timestamp"])
    .index("by_severity", ["severity", "timestamp"])
    .index("by_retention", ["retentionCategory", "severity", "timestamp"])
    // What waits for the server has no refusal, and is in the order of commits.
    .index("by_refusal_commit", ["refused.code", "commitTs", "resent"]),

  /** Ids that callers gave, so that the same event sent twice is one. They outlive events that are in the server. */
  ids: defineTable({
    id: v.string(),
    event: v.string(),
    /** SHA-256 of what was said of the event but for its time, as it was stored. */
    hash: v.string(),
    timestamp: v.number(),
    /** Which fields the settings hid then, if any. */
    hidden: v.optional(v.array(v.string())),
  }).index("by_given_id", ["id"]),

  /**
   * How many events there are: a document for each span of time and shard, and another one where one is full. Once a
   * span is over its documents are put together.
   */
  counters: defineTable({
    /** The length of the span, in milliseconds. */
    span: v.number(),
    /** Its first millisecond. */
    start: v.number(),
    shard: v.number(),
    severities: v.object({ info: v.number(), warning: v.number(), error: v.number(), critical: v.number() }),
    actions: v.array(v.object({ key: v.string(), count: v.number() })),
    actors: v.array(v.object({ key: v.string(), count: v.number() })),
  })
    .index("by_bucket", ["span", "start", "shard"])
    .index("by_shard", ["shard", "span", "start"]),

  /** The settings: one document, or none. It holds what was said alone, so that defaults hold for all else. */
  config: defineTable(configArgs),

  /** Since when every event is here: one document, once events have left for the server. */
  coverage: defineTable({ since: v.number() }),

  /** The newest function that has events leave: one document. */
  eviction: defineTable({ job: v.id("_scheduled_functions") }),

  /**
   * Whether a forwarder is at work: one document. Mutations that log read it. It changes when a forwarder starts and when
   * nothing waits any more, so not while events keep coming.
   */
  forwarder: defineTable({ isRunning: v.boolean(), run: v.number() }),

  /** How far the forwarder is: one document. */
  progress: defineTable({
    /** The last event that is acknowledged, by commit, number and creation. */
    commitTs: v.int64(),
    resent: v.optional(v.number()),
    creationTime: v.number(),
    acknowledged: v.number(),
    /** How many events were sent again after the server had refused them. */
    resends: v.number(),
    lastSeq: v.optional(v.number()),
    treeSize: v.optional(v.number()),
    /** How often the newest batch has failed. */
    failures: v.number(),
    error: v.optional(v.object({ code: v.string(), message: v.string(), at: v.number() })),
    /** When it last did something, or will. */
    dueAt: v.number(),
  }),
});
