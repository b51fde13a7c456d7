import { defineConfig } from "vite";

export default defineConfig({
  // The package is linked from its folder here, which has a React of its own for its tests.
  resolve: { dedupe: ["react", "react-dom"] },
  // What stands in a page or a stylesheet as data would need an exception in its policy.
  build: { outDir: "dist/site", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
  server: { proxy: Object.fromEntries(["/v1", "/demo", "/checkpoint"].map((path) => [path, process.env.SEALOG_URL ?? "http://127.0.0.1:7341"])) },
});
