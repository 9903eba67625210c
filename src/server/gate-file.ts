import { decodeBase64url, encodeBase64url, parseServerUrl, type Random } from "../proto/index.ts";
import type { JsonFields } from "../runtime/json.ts";
import { readStateFile, writeStateFile } from "../runtime/state-file.ts";
import { STORE_LIMITS } from "./store-limits.ts";

const GATE_KEY_BYTES = 32;

/** `gate.json`: what a link says beside the server's identity. */
export interface GateState {
  /** Accepted by the gate: the current key, which new links carry, and then the ones before it. */
  readonly keys: readonly [current: Uint8Array, ...previous: Uint8Array[]];
  /** The public URL that links are made with, once the operator has named it. */
  readonly url: string | undefined;
}

export function newGate(random: Random): GateState {
  return { keys: [random(GATE_KEY_BYTES)], url: undefined };
}

/** With a new current key; the others move down, and the oldest goes. */
export function renewedGate({ keys, url }: GateState, random: Random): GateState {
  return { keys: [random(GATE_KEY_BYTES), ...keys.slice(0, STORE_LIMITS.maxOldGateKeys)], url };
}

export function readGate(path: string): GateState | undefined {
  return readStateFile(path, (fields) => {
    const previous = fields.list("previous", readKey);
    return {
      keys: [readKey(fields), ...previous],
      url: fields.has("url") ? fields.parsed("url", "a server's address", parseServerUrl) : undefined,
    };
  });
}

export function writeGate(path: string, { keys: [current, ...previous], url }: GateState): void {
  writeStateFile(path, { url, ...writeKey(current), previous: previous.map(writeKey) });
}

function readKey(fields: JsonFields): Uint8Array {
  return fields.parsed("key", `base64url of ${GATE_KEY_BYTES} bytes`, (text) => {
    const bytes = decodeBase64url(text);
    return bytes?.length === GATE_KEY_BYTES ? bytes : undefined;
  });
}

function writeKey(key: Uint8Array): { readonly key: string } {
  return { key: encodeBase64url(key) };
}
