import { join } from "node:path";
import { defineConfig } from "vitest/config";

const src = (path: string) => join(import.meta.dirname, "src", path);

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
          testTimeout: 120_000,
        },
      },
      // These start servers.
      {
        test: {
          name: "server",
          include: ["test/server/**/*.test.ts", "test/readme/*.test.ts"],
          server: { deps: { inline: ["convex-test", "convex-audit-log"] } },
          // The examples import the package by its name.
          alias: {
            "sealog-convex/convex.config.js": src("component/convex.config.ts"),
            "sealog-convex/test": src("test.ts"),
            "sealog-convex/react": src("react/index.ts"),
            "sealog-convex": src("client/index.ts"),
          },
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
