import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      // As Convex runs functions: without what only Node has.
      {
        test: {
          name: "component",
          environment: "edge-runtime",
          include: ["test/component/**/*.test.ts"],
          server: { deps: { inline: ["convex-test", "convex-audit-log"] } },
          testTimeout: 60_000,
        },
      },
      // These start servers.
      {
        test: {
          name: "server",
          include: ["test/server/**/*.test.ts"],
          server: { deps: { inline: ["convex-test"] } },
          testTimeout: 120_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
