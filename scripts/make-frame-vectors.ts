/**
 * Writes tests/vectors/frames.json and packets.json: `bun scripts/make-frame-vectors.ts`. Every value is fixed or comes
 * from a seed, so that a change of a file is a change of the protocol. Each bad vector names the error it expects.
 */
import { join } from "node:path";
import { frameVectors } from "../tests/proto/support/frame-vectors.ts";
import { packetVectors } from "../tests/proto/support/packet-vectors.ts";

const files = { "frames.json": frameVectors(), "packets.json": packetVectors() };
for (const [name, vectors] of Object.entries(files)) {
  await Bun.write(join(import.meta.dir, "../tests/vectors", name), `${JSON.stringify(vectors, null, 2)}\n`);
}
