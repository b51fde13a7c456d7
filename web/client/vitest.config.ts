import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.{ts,tsx}"], testTimeout: 20_000 } },
      // These start servers, build and install: one after the other, so that they do not slow each other down.
      {
        test: {
          name: "whole",
          include: ["test/whole/**/*.test.{ts,tsx}"],
          testTimeout: 120_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
