import { defineConfig } from "vite";

export default defineConfig({
  // The package is linked from its folder here, which has a React of its own for its tests.
  resolve: { dedupe: ["react", "react-dom"] },
  // What stands in a page or a stylesheet as data would need an exception in its policy.
  build: { outDir: "dist/site", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: "es2022" },
  server: { proxy: { "/v1": "http://127.0.0.1:7341", "/demo": "http://127.0.0.1:7341", "/checkpoint": "http://127.0.0.1:7341" } },
});
