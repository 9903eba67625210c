import { hkdfExpand, hkdfExtract } from "./hkdf.ts";
import { checkLength, concatBytes, label, wipe } from "./octets.ts";
import {
  edwardsToMontgomery,
  KEY_BYTES,
  type Primitives,
  type Suite,
  TAG_BYTES,
  type X25519KeyPair,
} from "./primitives/index.ts";
import { PROTOCOL_VERSION, SUITE_CODES } from "./suites.ts";

// The formulae of docs/PROTOCOL.md, "Handshake": X3DH with both of the server's prekeys fresh, ML-KEM mixed in, and the
// client's identity sealed under what the other agreements give. C is the client, S the server:
//   DH1 = X(IK_C, SPK)   DH2 = X(EK, IK_S)   DH3 = X(EK, SPK)   SS = ML-KEM secret

/** F of X3DH (section 2.2): keeps its KDF inputs apart from XEdDSA's. */
const F = new Uint8Array(32).fill(0xff);
const Z = new Uint8Array(32);

const TH1_LABEL = label("rvpn/2 th1");
const TH2_LABEL = label("rvpn/2 th2");
const TH3_LABEL = label("rvpn/2 th3");
const ID_LABEL = label("rvpn/2 id");
const ROOT_LABEL = label("rvpn/2 root");

/** box: the client's identity key and a tag. */
export const BOX_BYTES = KEY_BYTES + TAG_BYTES;

/** th1 = H(L"rvpn/2 th1" ‖ IK_S ‖ B ‖ sig): what the server said. `bundle` is B ‖ sig, `serverKey` the Ed25519 key. */
export function bundleTranscript(p: Primitives, serverKey: Uint8Array, bundle: Uint8Array): Uint8Array {
  return p.sha256(concatBytes(TH1_LABEL, serverKey, bundle));
}

/** th2 = H(L"rvpn/2 th2" ‖ th1 ‖ ver ‖ suite ‖ EK ‖ CT): and what the client chose. */
export function offerTranscript(
  p: Primitives,
  th1: Uint8Array,
  offer: { readonly suite: Suite; readonly ephemeralKey: Uint8Array; readonly ciphertext: Uint8Array },
): Uint8Array {
  const chosen = Uint8Array.of(PROTOCOL_VERSION, SUITE_CODES[offer.suite]);
  return p.sha256(concatBytes(TH2_LABEL, th1, chosen, offer.ephemeralKey, offer.ciphertext));
}

/** th = H(L"rvpn/2 th3" ‖ th2 ‖ IK_C ‖ box): and who the client is. Binds every packet of the link. */
export function identityTranscript(
  p: Primitives,
  th2: Uint8Array,
  clientKey: Uint8Array,
  box: Uint8Array,
): Uint8Array {
  return p.sha256(concatBytes(TH3_LABEL, th2, clientKey, box));
}

/** Who one is decides which half of each agreement one has: pairs of one's own, keys of the peer. SPK is X25519. */
export type EphemeralSide =
  | {
      readonly role: "client";
      readonly ephemeral: X25519KeyPair;
      /** The server's Ed25519 key. */
      readonly serverKey: Uint8Array;
      readonly prekey: Uint8Array;
    }
  | {
      readonly role: "server";
      readonly ephemeralKey: Uint8Array;
      readonly identity: X25519KeyPair;
      readonly prekey: X25519KeyPair;
    };

/** DH2 ‖ DH3. ProtocolError badKey if the peer's EK or SPK is of small order. */
export function agreeEphemeral(side: EphemeralSide): Uint8Array {
  // DH3 first: it alone can fail at the client, and at the server both do, so that a failure leaves nothing to wipe.
  const [dh3, dh2] =
    side.role === "client"
      ? [side.ephemeral.agree(side.prekey), side.ephemeral.agree(edwardsToMontgomery(side.serverKey))]
      : [side.prekey.agree(side.ephemeralKey), side.identity.agree(side.ephemeralKey)];
  const agreements = concatBytes(dh2, dh3);
  wipe(dh2, dh3);
  return agreements;
}

/** k1, which seals the client's identity, and ck, which the root key comes from. */
export interface EphemeralKeys {
  readonly boxKey: Uint8Array;
  readonly chainKey: Uint8Array;
}

/** prk1 = Ext(Z, F ‖ DH2 ‖ DH3 ‖ SS); k1 ‖ ck = Exp(prk1, L"rvpn/2 id" ‖ th2, 64). */
export function deriveEphemeralKeys(
  p: Primitives,
  agreements: Uint8Array,
  kemSecret: Uint8Array,
  th2: Uint8Array,
): EphemeralKeys {
  checkLength("kemSecret", kemSecret, KEY_BYTES);
  const input = concatBytes(F, agreements, kemSecret);
  const prk1 = hkdfExtract(p, Z, input);
  const output = hkdfExpand(p, prk1, concatBytes(ID_LABEL, th2), 64);
  const keys = { boxKey: output.slice(0, 32), chainKey: output.slice(32) };
  wipe(input, prk1, output);
  return keys;
}

/** RK0 = Exp(Ext(ck, F ‖ DH1), L"rvpn/2 root" ‖ th, 32). */
export function deriveRootKey(
  p: Primitives,
  chainKey: Uint8Array,
  agreement: Uint8Array,
  th: Uint8Array,
): Uint8Array {
  const input = concatBytes(F, agreement);
  const prk = hkdfExtract(p, chainKey, input);
  const rootKey = hkdfExpand(p, prk, concatBytes(ROOT_LABEL, th), 32);
  wipe(input, prk);
  return rootKey;
}

/** box = AEAD(k1, 0^12, AD th2, IK_C). */
export function sealIdentity(
  p: Primitives,
  suite: Suite,
  boxKey: Uint8Array,
  th2: Uint8Array,
  clientKey: Uint8Array,
): Uint8Array {
  const { frames, tag } = p.sealParts(suite, boxKey, th2, clientKey);
  return concatBytes(frames, tag);
}

/** IK_C of a box. ProtocolError badTag. */
export function openIdentity(
  p: Primitives,
  suite: Suite,
  boxKey: Uint8Array,
  th2: Uint8Array,
  box: Uint8Array,
): Uint8Array {
  checkLength("box", box, BOX_BYTES);
  const sealed = { frames: box.subarray(0, KEY_BYTES), chunk: undefined, tag: box.subarray(KEY_BYTES) };
  return new Uint8Array(p.openParts(suite, boxKey, th2, sealed).frames);
}
