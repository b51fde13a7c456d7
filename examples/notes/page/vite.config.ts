import { defineConfig } from "vite";

export default defineConfig({
  // The package is linked from its folder here, which has a React of its own for its tests.
  resolve: { dedupe: ["react", "react-dom"] },
});
