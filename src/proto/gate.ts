import { checkLength, concatBytes, equalBytes, label } from "./crypto/octets.ts";
import { defaultPrimitives, KEY_BYTES, type Primitives } from "./crypto/primitives/index.ts";
import type { Random } from "./random.ts";
import { decodeBase64url, encodeBase64url } from "./text.ts";

/** Bytes of the nonce, and of the truncated HMAC behind it. */
const NONCE_BYTES = 16;
const MAC_BYTES = 16;
const TOKEN_BYTES = NONCE_BYTES + MAC_BYTES;

const GATE_LABEL = label("rvpn/2 gate");
const TOKEN_FORM = new RegExp(`^[\\w-]{${Math.ceil((TOKEN_BYTES * 4) / 3)}}$`);
const NO_TOKEN = new Uint8Array(TOKEN_BYTES);
const NO_TOKEN_TEXT = encodeBase64url(NO_TOKEN);

/**
 * What opens the server's gate once: base64url(nonce ‖ HMAC(K_gate, L"rvpn/2 gate" ‖ nonce)[0..16]), 43 characters.
 * `gateKey` is the 32 bytes that the link carries. Without it the server is a web site, so that whoever merely probes
 * costs one HMAC and learns nothing.
 */
export function makeGateToken(
  gateKey: Uint8Array,
  random: Random,
  primitives: Primitives = defaultPrimitives,
): string {
  const nonce = random(NONCE_BYTES);
  checkLength("nonce", nonce, NONCE_BYTES);
  return encodeBase64url(concatBytes(nonce, gateMac(primitives, gateKey, nonce)));
}

/**
 * The nonce of a token made with one of `gateKeys`, else undefined. The caller refuses a nonce that it has seen before.
 * Any text at all, also one that is no token, costs one HMAC per key, so that the time shows neither which key matched
 * nor how far a guess came.
 */
export function checkGateToken(
  token: string,
  gateKeys: readonly Uint8Array[],
  primitives: Primitives = defaultPrimitives,
): Uint8Array | undefined {
  const bytes = decodeToken(token);
  const nonce = (bytes ?? NO_TOKEN).subarray(0, NONCE_BYTES);
  const mac = (bytes ?? NO_TOKEN).subarray(NONCE_BYTES);
  let matches = 0;
  for (const gateKey of gateKeys) matches += Number(equalBytes(mac, gateMac(primitives, gateKey, nonce)));
  return bytes !== undefined && matches > 0 ? nonce : undefined;
}

/**
 * The form is looked at first: a header may be 32 KiB long, and what is no base64url would be refused sooner than what is.
 * Whatever it is, one text of a token's form is decoded.
 */
function decodeToken(token: string): Uint8Array | undefined {
  const hasForm = TOKEN_FORM.test(token);
  const bytes = decodeBase64url(hasForm ? token : NO_TOKEN_TEXT);
  return hasForm && bytes?.length === TOKEN_BYTES ? bytes : undefined;
}

function gateMac(primitives: Primitives, gateKey: Uint8Array, nonce: Uint8Array): Uint8Array {
  checkLength("gateKey", gateKey, KEY_BYTES);
  return primitives.hmac(gateKey, concatBytes(GATE_LABEL, nonce)).subarray(0, MAC_BYTES);
}
