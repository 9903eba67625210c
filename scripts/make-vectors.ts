import { join } from "node:path";
import { vectorFiles } from "../tests/proto/vectors/files.ts";

// Writes tests/vectors anew. Every value comes from a seed, so that a change of a file is a change of the protocol.
for (const [name, text] of vectorFiles()) {
  await Bun.write(join(import.meta.dir, "..", "tests", "vectors", name), text);
}
