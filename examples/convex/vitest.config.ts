import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { dedupe: ["convex", "react", "react-dom", "sealog"] },
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    testTimeout: 120_000,
    // The package's test helper collects its modules as only Vite can.
    server: { deps: { inline: [/sealog-convex/, "convex-test"] } },
  },
});
