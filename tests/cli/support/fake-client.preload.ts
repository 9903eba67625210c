import { resolve } from "node:path";
import { plugin } from "bun";

/** Puts the fake client in the place of the real one, for programs started with `--preload` of this file. */
plugin({
  name: "fake client",
  setup(build) {
    build.onResolve({ filter: /\/client\/client\.ts$/ }, () => ({
      path: resolve(import.meta.dir, "fake-client.ts"),
    }));
  },
});
