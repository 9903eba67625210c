import { join } from "node:path";
import {
  equalBytes,
  formatSecretKey,
  generateIdentity,
  type Identity,
  MAX_ROTATIONS,
  type Random,
  type Rotation,
  signRotation,
} from "../proto/index.ts";
import { writeFileAtomic } from "../runtime/atomic-file.ts";
import { UsageError } from "../runtime/errors.ts";
import { createIdentity, IDENTITY_FILE, readIdentity } from "../runtime/identity-file.ts";
import { lostFile } from "./lost-file.ts";
import { type RotationState, readRotations, writeRotations } from "./rotation-file.ts";

const ROTATION_FILE = "rotations.json";

/**
 * The server's identity, and the signed statements by which clients that know an older one follow (PROTOCOL.md section
 * 4). The caller holds the lock of the directory.
 */
export class ServerKeys {
  readonly #dir: string;
  readonly #random: Random;
  #identity: Identity;
  #state: RotationState | undefined;

  /**
   * The keys in `dir`; undefined if there are none. Finishes a rotation that was cut short. Throws UsageError if others
   * can read a file, if one is damaged, or if they do not belong together.
   */
  static read(dir: string, random: Random): ServerKeys | undefined {
    const state = readRotations(join(dir, ROTATION_FILE));
    const identity = present(dir, state);
    if (identity === undefined) return undefined;
    const isCutShort = state?.pending !== undefined;
    return new ServerKeys(dir, random, identity, isCutShort ? finish(dir, state) : state);
  }

  /** Makes the identity of a server that starts for the first time. */
  static create(dir: string, random: Random): ServerKeys {
    return new ServerKeys(dir, random, createIdentity(dir, random), undefined);
  }

  private constructor(dir: string, random: Random, identity: Identity, state: RotationState | undefined) {
    this.#dir = dir;
    this.#random = random;
    this.#identity = identity;
    this.#state = state;
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** What every bundle carries, oldest first. */
  get rotations(): readonly Rotation[] {
    return this.#state?.rotations ?? [];
  }

  /** The identity that the server began with: it stays the same whatever is renewed. */
  get firstKey(): Uint8Array {
    return this.#state?.firstKey ?? this.#identity.publicKey;
  }

  /**
   * Makes a new identity and the statement of it. Durable when it returns; a crash at any moment leaves the old
   * identity or the new one with its statement. Throws UsageError if the disk does not take it; then the old one is
   * offered as before. If all but the sync of the directory was done, the next start may have the new one.
   */
  rotate(): Rotation {
    const identity = generateIdentity(this.#random);
    const sequence = (this.rotations.at(-1)?.sequence ?? 0) + 1;
    const rotation = signRotation(this.#identity, identity, sequence);
    const rotations = [...this.rotations, rotation].slice(-MAX_ROTATIONS);
    const state: RotationState = { rotations, firstKey: this.firstKey, pending: identity };
    writeRotations(join(this.#dir, ROTATION_FILE), state);
    this.#identity = identity;
    this.#state = finish(this.#dir, state);
    return rotation;
  }
}

/**
 * The identity that a server started in `dir` would have, after a rotation that was cut short too; undefined if there is
 * none. Only reads, so that it may be asked beside a running server. Throws UsageError as `ServerKeys.read` does.
 */
export function identityInUse(dir: string): Identity | undefined {
  return present(dir, readRotations(join(dir, ROTATION_FILE)));
}

function present(dir: string, state: RotationState | undefined): Identity | undefined {
  if (state?.pending !== undefined) return state.pending;
  const identity = readIdentity(dir);
  const last = state?.rotations.at(-1);
  if (last === undefined) return identity;
  if (identity === undefined) throw lostFile(dir, IDENTITY_FILE, ROTATION_FILE);
  if (equalBytes(last.newKey, identity.publicKey)) return identity;
  throw new UsageError(
    `${join(dir, IDENTITY_FILE)} is not the key that ${ROTATION_FILE} leads to`,
    "put back both files from the same copy",
  );
}

/**
 * The rest of a rotation whose statement is on the disk: the new secret key takes the place of the old one, and then
 * stands there alone. If the disk does not take it the rotation holds all the same, and the next start does this.
 */
function finish(dir: string, state: RotationState): RotationState {
  try {
    if (state.pending !== undefined) {
      writeFileAtomic(join(dir, IDENTITY_FILE), `${formatSecretKey(state.pending)}\n`);
    }
    const finished = { ...state, pending: undefined };
    writeRotations(join(dir, ROTATION_FILE), finished);
    return finished;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return state;
  }
}
