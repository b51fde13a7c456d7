import { defineApp } from "convex/server";
import { v } from "convex/values";
import auditLog from "sealog-convex/convex.config.js";

const app = defineApp({
  env: {
    SEALOG_URL: v.optional(v.string()),
    SEALOG_API_KEY: v.optional(v.string()),
    SEALOG_READ_KEY: v.optional(v.string()),
    SEALOG_BACKOFF_MS: v.optional(v.string()),
  },
});
app.use(auditLog, {
  env: {
    SEALOG_URL: app.env.SEALOG_URL,
    SEALOG_API_KEY: app.env.SEALOG_API_KEY,
    SEALOG_READ_KEY: app.env.SEALOG_READ_KEY,
    SEALOG_BACKOFF_MS: app.env.SEALOG_BACKOFF_MS,
  },
});

export default app;
