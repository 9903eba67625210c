import { join } from "node:path";
import { UsageError } from "../runtime/errors.ts";

/** Making such a file anew would lock out every client, so it is not done in silence. */
export function lostFile(dir: string, missing: string, present: string): UsageError {
  return new UsageError(
    `${join(dir, missing)} is missing, though ${present} is there`,
    "put back a copy of it; to begin anew with no clients, use another directory with --state",
  );
}
