import {
  decodeBase64url,
  encodeBase64url,
  equalBytes,
  followRotations,
  formatPublicKey,
  formatSecretKey,
  type Identity,
  MAX_ROTATIONS,
  parsePublicKey,
  parseSecretKey,
  type Rotation,
} from "../proto/index.ts";
import type { JsonFields, JsonObject } from "../runtime/json.ts";
import { readStateFile, writeStateFile } from "../runtime/state-file.ts";

/** `rotations.json`, from the first rotation on. */
export interface RotationState {
  /** The newest, oldest first; at least one, and at most 8. */
  readonly rotations: readonly Rotation[];
  /** The identity that the server began with. */
  readonly firstKey: Uint8Array;
  /**
   * The identity that the last statement is for, until it is in its own file. Statement and secret key come to the disk
   * in one step by this; what is left to do then can be done again.
   */
  readonly pending: Identity | undefined;
}

const SIGNATURE_BYTES = 64;
const MAX_SEQUENCE = 0xffff_ffff;

export function readRotations(path: string): RotationState | undefined {
  return readStateFile(path, (fields: JsonFields) => {
    const firstKey = fields.parsed("firstKey", "a public key", parsePublicKey);
    const rotations = fields.list("rotations", readRotation);
    const [first] = rotations;
    const last = rotations.at(-1);
    if (first === undefined || last === undefined || rotations.length > MAX_ROTATIONS) {
      fields.fail("rotations", `must be 1 to ${MAX_ROTATIONS} statements`);
    }
    // A server that offered statements which no client can follow would shut out all of them.
    const start = { key: first.oldKey, sequence: first.sequence - 1 };
    const led = followRotations(start, rotations, last.newKey);
    if (typeof led === "string") fields.fail("rotations", `do not hold together: ${led}`);
    const pending = fields.has("pending")
      ? fields.parsed("pending", "a secret key", parseSecretKey)
      : undefined;
    if (pending !== undefined && !equalBytes(pending.publicKey, last.newKey)) {
      fields.fail("pending", "is not the key that the last statement is for");
    }
    return { rotations, firstKey, pending };
  });
}

export function writeRotations(path: string, { rotations, firstKey, pending }: RotationState): void {
  writeStateFile(path, {
    firstKey: formatPublicKey(firstKey),
    rotations: rotations.map(writeRotation),
    pending: pending === undefined ? undefined : formatSecretKey(pending),
  });
}

function readRotation(fields: JsonFields): Rotation {
  return {
    oldKey: fields.parsed("old", "a public key", parsePublicKey),
    newKey: fields.parsed("new", "a public key", parsePublicKey),
    sequence: fields.integer("sequence", 1, MAX_SEQUENCE),
    oldSignature: readSignature(fields, "oldSignature"),
    newSignature: readSignature(fields, "newSignature"),
  };
}

function writeRotation({ oldKey, newKey, sequence, oldSignature, newSignature }: Rotation): JsonObject {
  return {
    old: formatPublicKey(oldKey),
    new: formatPublicKey(newKey),
    sequence,
    oldSignature: encodeBase64url(oldSignature),
    newSignature: encodeBase64url(newSignature),
  };
}

function readSignature(fields: JsonFields, key: string): Uint8Array {
  return fields.parsed(key, `base64url of ${SIGNATURE_BYTES} bytes`, (text) => {
    const bytes = decodeBase64url(text);
    return bytes?.length === SIGNATURE_BYTES ? bytes : undefined;
  });
}
