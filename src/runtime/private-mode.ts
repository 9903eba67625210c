import { UsageError } from "./errors.ts";

const OTHERS = 0o077;

/**
 * Throws UsageError unless nobody but the owner may do anything with `path`. Checked at every start, not repaired in
 * silence: a key that others could read may have been read, and the operator has to know.
 */
export function checkPrivateMode(path: string, mode: number, wanted: 0o600 | 0o700): void {
  // Windows has no such bits: what Bun reports there is made up.
  if (process.platform === "win32" || (mode & OTHERS) === 0) return;
  throw new UsageError(
    `${path} is open to other users (mode ${(mode & 0o777).toString(8).padStart(3, "0")})`,
    `chmod ${wanted.toString(8)} ${shellWord(path)}`,
  );
}

/** `path` as one word of a POSIX shell, so that hints can be pasted. */
function shellWord(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
