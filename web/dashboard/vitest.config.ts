import { defineConfig } from "vitest/config";

// One at a time: they share two processors with a browser and a server each.
export default defineConfig({
  test: { include: ["test/**/*.test.ts"], testTimeout: 300_000, hookTimeout: 900_000, fileParallelism: false },
});
