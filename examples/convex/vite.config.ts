import { defineConfig } from "vite";

export default defineConfig({
  // The packages are linked from their folders here, which have a Convex and a React of their own for their tests.
  resolve: { dedupe: ["convex", "react", "react-dom", "sealog"] },
});
