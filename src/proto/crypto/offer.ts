import { Reader } from "../bytes.ts";
import { ProtocolError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { checkLength, concatBytes } from "./octets.ts";
import { bodyFollows, NEW_CHAIN_HEADER_BYTES } from "./packet.ts";
import { KEM_CIPHERTEXT_BYTES, KEY_BYTES, type Suite, TAG_BYTES } from "./primitives/index.ts";
import { PROTOCOL_VERSION, SUITE_CODES, suiteOfCode } from "./suites.ts";
import { BOX_BYTES } from "./x3dh.ts";

// The client's first message: M = ver u8 ‖ suite u8 ‖ EK 32 ‖ CT 1088 ‖ box 48 ‖ packet 0, the rest of the message.

const PREFIX_BYTES = 2 + KEY_BYTES + KEM_CIPHERTEXT_BYTES + BOX_BYTES;
const MIN_BYTES = PREFIX_BYTES + NEW_CHAIN_HEADER_BYTES + TAG_BYTES;
const MAX_BYTES = MIN_BYTES + LIMITS.maxFramesBytes;

/** M but for packet 0. */
export interface Offer {
  readonly suite: Suite;
  /** EK, X25519. */
  readonly ephemeralKey: Uint8Array;
  /** CT, ML-KEM-768. */
  readonly ciphertext: Uint8Array;
  /** The client's identity, sealed. */
  readonly box: Uint8Array;
}

export function encodeOffer(offer: Offer): Uint8Array {
  checkLength("ephemeralKey", offer.ephemeralKey, KEY_BYTES);
  checkLength("ciphertext", offer.ciphertext, KEM_CIPHERTEXT_BYTES);
  checkLength("box", offer.box, BOX_BYTES);
  const chosen = Uint8Array.of(PROTOCOL_VERSION, SUITE_CODES[offer.suite]);
  return concatBytes(chosen, offer.ephemeralKey, offer.ciphertext, offer.box);
}

/**
 * The fields of M as views. Packet 0 is a lead that starts a chain, and has no body: the server has to take it in before
 * it knows the client. ProtocolError tooLarge, malformed or unsupported.
 */
export function decodeOffer(message: Uint8Array): Offer & { readonly packet: Uint8Array } {
  if (message.length > MAX_BYTES) throw new ProtocolError("tooLarge", `an offer of ${message.length} bytes`);
  if (message.length < MIN_BYTES) throw new ProtocolError("malformed", `an offer of ${message.length} bytes`);
  const reader = new Reader(message);
  const version = reader.u8();
  if (version !== PROTOCOL_VERSION) throw new ProtocolError("unsupported", `version ${version}`);
  const suite = suiteOfCode(reader.u8());
  const ephemeralKey = reader.bytes(KEY_BYTES);
  const ciphertext = reader.bytes(KEM_CIPHERTEXT_BYTES);
  const box = reader.bytes(BOX_BYTES);
  const packet = reader.bytes(reader.remaining);
  if (bodyFollows(packet)) throw new ProtocolError("malformed", "packet 0 with a body");
  return { suite, ephemeralKey, ciphertext, box, packet };
}
