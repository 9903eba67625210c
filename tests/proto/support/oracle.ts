import { gcm } from "@noble/ciphers/aes.js";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";

// A second, slow and plain writing down of docs/PROTOCOL.md, from the formulae and noble alone: nothing of src is in
// it, so that an error must be made twice to stay unseen. It builds messages and never checks any.

export type OracleSuite = "aes-256-gcm" | "chacha20-poly1305";

const Z = new Uint8Array(32);
const F = new Uint8Array(32).fill(0xff);
const ZERO_NONCE = new Uint8Array(12);

export function L(text: string): Uint8Array {
  return utf8ToBytes(`${text}\0`);
}

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function H(...parts: Uint8Array[]): Uint8Array {
  return sha256(concatBytes(...parts));
}

function Ext(salt: Uint8Array, key: Uint8Array): Uint8Array {
  return extract(sha256, key, salt);
}

function Exp(prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  return expand(sha256, prk, info, length);
}

function AEAD(suite: OracleSuite, key: Uint8Array, ad: Uint8Array, text: Uint8Array): Uint8Array {
  return (suite === "aes-256-gcm" ? gcm : chacha20poly1305)(key, ZERO_NONCE, ad).encrypt(text);
}

export interface BundleFields {
  readonly versions: readonly number[];
  readonly suites: readonly number[];
  readonly boot: Uint8Array;
  readonly serverSeed: Uint8Array;
  readonly prekey: Uint8Array;
  readonly kemPublicKey: Uint8Array;
  readonly padding: Uint8Array;
  /** Raw bytes of the rotations, count included. */
  readonly rotations?: Uint8Array;
  /** Instead of the right length of B. */
  readonly length?: number;
  /** Instead of the key of `serverSeed`. */
  readonly serverKey?: Uint8Array;
}

/** B ‖ sig. */
export function oracleBundle(fields: BundleFields): Uint8Array {
  const rest = concatBytes(
    u8(fields.versions.length),
    Uint8Array.from(fields.versions),
    u8(fields.suites.length),
    Uint8Array.from(fields.suites),
    fields.boot,
    fields.serverKey ?? ed25519.getPublicKey(fields.serverSeed),
    fields.rotations ?? u8(0),
    fields.prekey,
    fields.kemPublicKey,
    fields.padding,
  );
  const B = concatBytes(u16(fields.length ?? rest.length + 2), rest);
  return concatBytes(B, ed25519.sign(concatBytes(L("rvpn/2 bundle"), B), fields.serverSeed));
}

export interface HandshakeInputs {
  readonly suite: OracleSuite;
  readonly serverSeed: Uint8Array;
  readonly clientSeed: Uint8Array;
  readonly prekeySecret: Uint8Array;
  readonly ephemeralSecret: Uint8Array;
  /** FIPS 203's d ‖ z of the server's KEM key pair, and m of the client's encapsulation. */
  readonly kemSeed: Uint8Array;
  readonly kemMessage: Uint8Array;
  /** B ‖ sig. */
  readonly bundle: Uint8Array;
  /** Instead of the key of `clientSeed`, in box and transcript. */
  readonly clientKey?: Uint8Array;
}

/** Everything that both sides compute between bundle and packet 0. */
export function oracleHandshake(inputs: HandshakeInputs) {
  const { suite, bundle } = inputs;
  const IK_S = ed25519.getPublicKey(inputs.serverSeed);
  const IK_C = inputs.clientKey ?? ed25519.getPublicKey(inputs.clientSeed);
  const SPK = x25519.getPublicKey(inputs.prekeySecret);
  const EK = x25519.getPublicKey(inputs.ephemeralSecret);
  const kem = ml_kem768.keygen(inputs.kemSeed);
  const { cipherText: CT, sharedSecret: SS } = ml_kem768.encapsulate(kem.publicKey, inputs.kemMessage);
  const clientSecret = ed25519.utils.toMontgomerySecret(inputs.clientSeed);
  const DH1 = x25519.getSharedSecret(clientSecret, SPK);
  const DH2 = x25519.getSharedSecret(inputs.ephemeralSecret, ed25519.utils.toMontgomery(IK_S));
  const DH3 = x25519.getSharedSecret(inputs.ephemeralSecret, SPK);
  const chosen = concatBytes(u8(2), u8(suite === "aes-256-gcm" ? 1 : 2), EK, CT);
  const th1 = H(L("rvpn/2 th1"), IK_S, bundle);
  const th2 = H(L("rvpn/2 th2"), th1, chosen);
  const prk1 = Ext(Z, concatBytes(F, DH2, DH3, SS));
  const k1ck = Exp(prk1, concatBytes(L("rvpn/2 id"), th2), 64);
  const k1 = k1ck.subarray(0, 32);
  const ck = k1ck.subarray(32);
  const box = AEAD(suite, k1, th2, IK_C);
  const th = H(L("rvpn/2 th3"), th2, IK_C, box);
  const RK0 = Exp(Ext(ck, concatBytes(F, DH1)), concatBytes(L("rvpn/2 root"), th), 32);
  return {
    IK_S,
    IK_C,
    SPK,
    EK,
    CT,
    SS,
    DH1,
    DH2,
    DH3,
    th1,
    th2,
    prk1,
    k1,
    ck,
    box,
    th,
    RK0,
    prefix: concatBytes(chosen, box),
  };
}

/** One packet to seal. `ratchetSecret` makes it the first of a new chain of its side. */
export interface OraclePacket {
  readonly from: "client" | "server";
  readonly ratchetSecret?: Uint8Array | undefined;
  readonly frames: Uint8Array;
  readonly chunk?: Uint8Array | undefined;
}

interface OracleSide {
  secret: Uint8Array | undefined;
  publicKey: Uint8Array | undefined;
  chainKey: Uint8Array;
  count: number;
  previousCount: number;
}

/**
 * The packets of one link as wire bytes. `everyHeader`: Signal-style, each packet says its chain. Steps must alternate,
 * the client's first.
 */
export function oracleSession(
  start: {
    suite: OracleSuite;
    th: Uint8Array;
    RK0: Uint8Array;
    prekeySecret: Uint8Array;
    everyHeader?: boolean;
  },
  packets: readonly OraclePacket[],
): { lead: Uint8Array; body?: Uint8Array }[] {
  let rootKey = start.RK0;
  const none = { chainKey: Z, count: 0, previousCount: 0 };
  const sides: Record<"client" | "server", OracleSide> = {
    client: { ...none, secret: undefined, publicKey: undefined },
    server: { ...none, secret: start.prekeySecret, publicKey: x25519.getPublicKey(start.prekeySecret) },
  };
  return packets.map(({ from, ratchetSecret, frames, chunk }) => {
    const side = sides[from];
    const peer = sides[from === "client" ? "server" : "client"];
    if (ratchetSecret !== undefined) {
      side.secret = ratchetSecret;
      side.publicKey = x25519.getPublicKey(ratchetSecret);
      side.previousCount = side.count;
      side.count = 0;
      const dh = x25519.getSharedSecret(ratchetSecret, peer.publicKey ?? Z);
      const keys = Exp(Ext(rootKey, dh), L("rvpn/2 ratchet"), 64);
      rootKey = keys.slice(0, 32);
      side.chainKey = keys.slice(32);
    }
    const startsChain = start.everyHeader === true || side.count === 0;
    const flags = (startsChain ? 1 : 0) | (chunk === undefined ? 0 : 2);
    let header = concatBytes(u8(flags), u32(side.count));
    if (startsChain) header = concatBytes(header, u32(side.previousCount), side.publicKey ?? Z);
    const length = chunk === undefined ? new Uint8Array(0) : u32(frames.length);
    const messageKey = hmac(sha256, side.chainKey, u8(1));
    side.chainKey = hmac(sha256, side.chainKey, u8(2));
    side.count++;
    const text = concatBytes(frames, chunk ?? new Uint8Array(0));
    const sealed = AEAD(start.suite, messageKey, concatBytes(start.th, header, length), text);
    const lead = concatBytes(header, sealed.subarray(0, frames.length), sealed.subarray(text.length));
    return chunk === undefined ? { lead } : { lead, body: sealed.slice(frames.length, text.length) };
  });
}

/** One statement of a rotation, 196 bytes; `signers` sign in place of the owners of the keys. */
export function oracleRotation(
  oldSeed: Uint8Array,
  newSeed: Uint8Array,
  seq: number,
  signers: { readonly old?: Uint8Array; readonly new?: Uint8Array; readonly seq?: number } = {},
): Uint8Array {
  const keys = concatBytes(ed25519.getPublicKey(oldSeed), ed25519.getPublicKey(newSeed));
  const text = concatBytes(L("rvpn/2 rotation"), keys, u32(signers.seq ?? seq));
  const signatures = [signers.old ?? oldSeed, signers.new ?? newSeed].map((seed) => ed25519.sign(text, seed));
  return concatBytes(keys, u32(seq), ...signatures);
}
