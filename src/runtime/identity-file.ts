import { join } from "node:path";
import {
  formatSecretKey,
  generateIdentity,
  type Identity,
  parseSecretKey,
  type Random,
  TextFormatError,
} from "../proto/index.ts";
import { readPrivateFile, writeFileAtomic } from "./atomic-file.ts";
import { damagedFile } from "./state-file.ts";

/** In the state directory of a server and of a client: the text that `rvpn keygen` prints. */
export const IDENTITY_FILE = "identity.key";

/** The identity kept in `dir`; undefined if there is none. Throws UsageError if others may read it or it is damaged. */
export function readIdentity(dir: string): Identity | undefined {
  const path = join(dir, IDENTITY_FILE);
  const text = readPrivateFile(path);
  if (text === undefined) return undefined;
  try {
    return parseSecretKey(text.trim());
  } catch (error) {
    if (!(error instanceof TextFormatError)) throw error;
    throw damagedFile(path, error.message, error);
  }
}

/** Makes the identity of `dir`. The caller holds the lock of `dir` and has seen that there is none yet. */
export function createIdentity(dir: string, random: Random): Identity {
  const identity = generateIdentity(random);
  writeFileAtomic(join(dir, IDENTITY_FILE), `${formatSecretKey(identity)}\n`);
  return identity;
}
