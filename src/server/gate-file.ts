import { decodeBase64url, encodeBase64url, parseServerUrl, type Random } from "../proto/index.ts";
import type { JsonFields } from "../runtime/json.ts";
import { readStateFile, writeStateFile } from "../runtime/state-file.ts";
import { STORE_LIMITS } from "./store-limits.ts";

const GATE_KEY_BYTES = 32;

/** A key of the gate and its number, which rises by one with each. The list of clients names keys by their number. */
export interface GateKey {
  readonly key: Uint8Array;
  readonly generation: number;
}

/** `gate.json`: what a link says beside the server's identity. */
export interface GateState {
  /** Accepted by the gate: the current key, which new links carry, and then older ones, the newest first. */
  readonly keys: readonly [current: GateKey, ...previous: GateKey[]];
  /** The public URL that links are made with, once the operator has named it. */
  readonly url: string | undefined;
}

export function newGate(random: Random): GateState {
  return { keys: [{ key: random(GATE_KEY_BYTES), generation: 0 }], url: undefined };
}

/**
 * With a new current key. Of the older ones the newest few stay, and those whose generation is `inUse`: somebody who is
 * welcome may have no other. The same gate if these are too many, for every request costs one HMAC per key: that the
 * key is renewed keeps who was revoked from the handshake, and the handshake refuses him as well.
 */
export function renewedGate(gate: GateState, inUse: ReadonlySet<number>, random: Random): GateState {
  const isKept = ({ generation }: GateKey, age: number): boolean =>
    age < STORE_LIMITS.oldGateKeys || inUse.has(generation);
  const kept = gate.keys.filter(isKept);
  if (kept.length >= STORE_LIMITS.maxGateKeys) return gate;
  const current = { key: random(GATE_KEY_BYTES), generation: gate.keys[0].generation + 1 };
  return { keys: [current, ...kept], url: gate.url };
}

export function readGate(path: string): GateState | undefined {
  return readStateFile(path, (fields) => {
    const current = readKey(fields);
    const previous = fields.list("previous", readKey);
    let above = current.generation;
    for (const [index, { generation }] of previous.entries()) {
      if (generation >= above) fields.fail(`previous[${index}].generation`, "is not below the one before");
      above = generation;
    }
    return {
      keys: [current, ...previous],
      url: fields.has("url") ? fields.parsed("url", "a server's address", parseServerUrl) : undefined,
    };
  });
}

export function writeGate(path: string, { keys: [current, ...previous], url }: GateState): void {
  writeStateFile(path, { url, ...writeKey(current), previous: previous.map(writeKey) });
}

function readKey(fields: JsonFields): GateKey {
  const key = fields.parsed("key", `base64url of ${GATE_KEY_BYTES} bytes`, (text) => {
    const bytes = decodeBase64url(text);
    return bytes?.length === GATE_KEY_BYTES ? bytes : undefined;
  });
  return { key, generation: fields.integer("generation", 0, Number.MAX_SAFE_INTEGER) };
}

function writeKey({ key, generation }: GateKey): { readonly key: string; readonly generation: number } {
  return { key: encodeBase64url(key), generation };
}
