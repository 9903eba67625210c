import { closeSync, openSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { pieceAt } from "../origin/pattern.ts";

/** Tmpfs where there is one: what is uploaded must not come from a disk. */
const MEMORY_DIRECTORY = "/dev/shm";
/** Room that is left to others in it. */
const RESERVE_BYTES = 256e6;

/** Writes what a download of `size` bytes brings into a file, which the caller removes. Returns its name. */
export async function writePattern(directory: string, size: number): Promise<string> {
  const name = join(placeFor(directory, size), `rvpn-bench-${process.pid}-${size}`);
  const file = openSync(name, "w", 0o600);
  try {
    for (let position = 0; position < size; ) {
      position += writeSync(file, pieceAt(position, size - position));
    }
  } finally {
    closeSync(file);
  }
  return name;
}

function placeFor(directory: string, size: number): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY_DIRECTORY);
    return bavail * bsize > size + RESERVE_BYTES ? MEMORY_DIRECTORY : directory;
  } catch {
    return directory;
  }
}
