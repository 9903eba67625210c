/** Writes tests/vectors/frames.json: `bun scripts/make-frame-vectors.ts`. Each bad vector names the error it expects. */
import { join } from "node:path";
import { frameVectors } from "../tests/proto/support/frame-vectors.ts";

const path = join(import.meta.dir, "../tests/vectors/frames.json");
await Bun.write(path, `${JSON.stringify(frameVectors(), null, 2)}\n`);
