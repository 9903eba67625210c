import { hkdfExpand, hkdfExtract } from "./hkdf.ts";
import { concatBytes, label, wipe } from "./octets.ts";
import type { Primitives } from "./primitives/index.ts";

const RATCHET_LABEL = label("rvpn/2 ratchet");
const MESSAGE_INPUT = Uint8Array.of(0x01);
const CHAIN_INPUT = Uint8Array.of(0x02);

/** KDF_RK of the Double Ratchet (section 5.2): the next root key and the first chain key of the chain it starts. */
export function kdfRoot(
  primitives: Primitives,
  rootKey: Uint8Array,
  agreement: Uint8Array,
): { readonly rootKey: Uint8Array; readonly chainKey: Uint8Array } {
  const prk = hkdfExtract(primitives, rootKey, agreement);
  const output = hkdfExpand(primitives, prk, RATCHET_LABEL, 64);
  const keys = { rootKey: concatBytes(output.subarray(0, 32)), chainKey: concatBytes(output.subarray(32)) };
  wipe(prk, output);
  return keys;
}

/** First half of KDF_CK (section 5.2): the key of the chain's next packet. */
export function messageKeyOf(primitives: Primitives, chainKey: Uint8Array): Uint8Array {
  return primitives.hmac(chainKey, MESSAGE_INPUT);
}

/** Second half of KDF_CK: the chain key after that packet. The caller wipes the old one. */
export function nextChainKey(primitives: Primitives, chainKey: Uint8Array): Uint8Array {
  return primitives.hmac(chainKey, CHAIN_INPUT);
}
