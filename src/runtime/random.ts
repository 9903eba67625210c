import { randomFillSync } from "node:crypto";
import type { Random } from "../proto/index.ts";

/** The operating system's generator: the only source of secrets in the program. */
export const secureRandom: Random = (length) => randomFillSync(new Uint8Array(length));
