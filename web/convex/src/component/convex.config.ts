import { defineComponent } from "convex/server";
import { v } from "convex/values";

export default defineComponent("auditLog", {
  env: {
    /** Where the Sealog server is. Without it the component works on its own. */
    SEALOG_URL: v.optional(v.string()),
    /** A key that may log events, a writer's. */
    SEALOG_API_KEY: v.optional(v.string()),
    /** A key that may read, for the actions that ask the server; `SEALOG_API_KEY` unless given. */
    SEALOG_READ_KEY: v.optional(v.string()),
    /** The first pause after a failure, in milliseconds; each one after it is twice as long, up to 300 times. Default: 1000. */
    SEALOG_BACKOFF_MS: v.optional(v.string()),
  },
});
