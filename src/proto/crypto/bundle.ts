import { Reader, Writer } from "../bytes.ts";
import { ProtocolError } from "../errors.ts";
import type { Random } from "../random.ts";
import type { Identity } from "./identity.ts";
import { checkLength, concatBytes, label } from "./octets.ts";
import { KEM_PUBLIC_KEY_BYTES, KEY_BYTES, type Primitives, SIGNATURE_BYTES } from "./primitives/index.ts";

// The server's first message: B ‖ sig, where
//   B = length of B u16 ‖ versions ‖ suites ‖ boot 16 ‖ IK_S 32 ‖ rotations ‖ SPK 32 ‖ KEMPK 1184 ‖ padding
//   versions, suites = count u8 ‖ count × u8          rotations = count u8 ‖ count × rotation
//   rotation = old 32 ‖ new 32 ‖ seq u32 ‖ signature of old 64 ‖ signature of new 64
//   sig = Ed25519(IK_S, L"rvpn/2 bundle" ‖ B)

export const BOOT_BYTES = 16;
/** Lists of versions and suites have 1 to 8 entries, in ascending order. */
const MAX_LIST = 8;
/** The newest statements of rotation. A client that has missed more needs a new link. */
export const MAX_ROTATIONS = 8;
/** Random, so that the sizes of the first messages inside TLS are no fingerprint. */
const MAX_PADDING_BYTES = 1023;

const ROTATION_BYTES = 2 * KEY_BYTES + 4 + 2 * SIGNATURE_BYTES;
const FIXED_BYTES = 2 + 1 + 1 + BOOT_BYTES + KEY_BYTES + 1 + KEY_BYTES + KEM_PUBLIC_KEY_BYTES;
const MIN_BODY_BYTES = FIXED_BYTES + 1 + 1;
const MAX_BODY_BYTES = FIXED_BYTES + 2 * MAX_LIST + MAX_ROTATIONS * ROTATION_BYTES + MAX_PADDING_BYTES;

const BUNDLE_LABEL = label("rvpn/2 bundle");

/** A statement that the server's identity changed, signed by both (crypto/rotation.ts). */
export interface Rotation {
  readonly oldKey: Uint8Array;
  readonly newKey: Uint8Array;
  readonly sequence: number;
  readonly oldSignature: Uint8Array;
  readonly newSignature: Uint8Array;
}

/** What the server offers for one link. */
export interface Bundle {
  readonly versions: readonly number[];
  /** Wire numbers; a client ignores those that it does not know. */
  readonly suites: readonly number[];
  /** 16 bytes, random per server process: tells a client that the server was started anew. */
  readonly boot: Uint8Array;
  /** IK_S, Ed25519. */
  readonly serverKey: Uint8Array;
  readonly rotations: readonly Rotation[];
  /** SPK, X25519, made for this link. */
  readonly prekey: Uint8Array;
  /** ML-KEM-768, made for this link. */
  readonly kemPublicKey: Uint8Array;
  readonly padding: Uint8Array;
}

/** Random bytes of a random length: what a handshake message is padded with. */
export function randomPadding(random: Random): Uint8Array {
  const [high = 0, low = 0] = random(2);
  return random(((high << 8) | low) & MAX_PADDING_BYTES);
}

/** B of a bundle. RangeError if a field is not what the format can carry. */
export function encodeBundle(bundle: Bundle): Uint8Array {
  checkList("versions", bundle.versions);
  checkList("suites", bundle.suites);
  checkAtMost("rotations", bundle.rotations.length, MAX_ROTATIONS);
  checkAtMost("padding", bundle.padding.length, MAX_PADDING_BYTES);
  checkLength("boot", bundle.boot, BOOT_BYTES);
  checkLength("serverKey", bundle.serverKey, KEY_BYTES);
  checkLength("prekey", bundle.prekey, KEY_BYTES);
  checkLength("kemPublicKey", bundle.kemPublicKey, KEM_PUBLIC_KEY_BYTES);
  const lists = bundle.versions.length + bundle.suites.length + bundle.rotations.length * ROTATION_BYTES;
  const body = new Uint8Array(FIXED_BYTES + lists + bundle.padding.length);
  const writer = new Writer(body);
  writer.u16(body.length);
  for (const list of [bundle.versions, bundle.suites]) {
    writer.u8(list.length);
    writer.bytes(Uint8Array.from(list));
  }
  writer.bytes(bundle.boot);
  writer.bytes(bundle.serverKey);
  writer.u8(bundle.rotations.length);
  for (const rotation of bundle.rotations) writeRotation(writer, rotation);
  writer.bytes(bundle.prekey);
  writer.bytes(bundle.kemPublicKey);
  writer.bytes(bundle.padding);
  return body;
}

function writeRotation(writer: Writer, rotation: Rotation): void {
  checkLength("oldKey", rotation.oldKey, KEY_BYTES);
  checkLength("newKey", rotation.newKey, KEY_BYTES);
  checkLength("oldSignature", rotation.oldSignature, SIGNATURE_BYTES);
  checkLength("newSignature", rotation.newSignature, SIGNATURE_BYTES);
  writer.bytes(rotation.oldKey);
  writer.bytes(rotation.newKey);
  writer.u32(rotation.sequence);
  writer.bytes(rotation.oldSignature);
  writer.bytes(rotation.newSignature);
}

/** The message of a bundle: B ‖ sig. */
export function signBundle(primitives: Primitives, identity: Identity, body: Uint8Array): Uint8Array {
  return concatBytes(body, primitives.ed25519Sign(identity.seed, concatBytes(BUNDLE_LABEL, body)));
}

/**
 * The bundle of a message, its fields as views, its signature verified with the key that it names itself: whether that
 * is the right key is the caller's question. ProtocolError tooLarge, malformed, notCanonical or badSignature.
 */
export function openBundle(primitives: Primitives, message: Uint8Array): Bundle {
  const bundle = decodeBundle(message);
  const body = message.subarray(0, message.length - SIGNATURE_BYTES);
  const signature = message.subarray(body.length);
  if (!primitives.ed25519Verify(bundle.serverKey, concatBytes(BUNDLE_LABEL, body), signature)) {
    throw new ProtocolError("badSignature", "bundle");
  }
  return bundle;
}

function decodeBundle(message: Uint8Array): Bundle {
  const length = message.length - SIGNATURE_BYTES;
  if (length > MAX_BODY_BYTES) throw new ProtocolError("tooLarge", `a bundle of ${length} bytes`);
  if (length < MIN_BODY_BYTES) throw new ProtocolError("malformed", `a bundle of ${length} bytes`);
  const reader = new Reader(message.subarray(0, length));
  if (reader.u16() !== length) throw new ProtocolError("malformed", "length of the bundle");
  const versions = readList(reader);
  const suites = readList(reader);
  const boot = reader.bytes(BOOT_BYTES);
  const serverKey = reader.bytes(KEY_BYTES);
  const rotations = readRotations(reader);
  const prekey = reader.bytes(KEY_BYTES);
  const kemPublicKey = reader.bytes(KEM_PUBLIC_KEY_BYTES);
  if (reader.remaining > MAX_PADDING_BYTES) throw new ProtocolError("tooLarge", "padding of the bundle");
  const padding = reader.bytes(reader.remaining);
  return { versions, suites, boot, serverKey, rotations, prekey, kemPublicKey, padding };
}

function readList(reader: Reader): readonly number[] {
  const count = reader.u8();
  if (count > MAX_LIST) throw new ProtocolError("tooLarge", `a list of ${count}`);
  if (count === 0) throw new ProtocolError("malformed", "an empty list");
  const list = [...reader.bytes(count)];
  if (!isAscending(list)) throw new ProtocolError("notCanonical", "a list out of order");
  return list;
}

function readRotations(reader: Reader): readonly Rotation[] {
  const count = reader.u8();
  if (count > MAX_ROTATIONS) throw new ProtocolError("tooLarge", `${count} rotations`);
  return Array.from({ length: count }, () => ({
    oldKey: reader.bytes(KEY_BYTES),
    newKey: reader.bytes(KEY_BYTES),
    sequence: reader.u32(),
    oldSignature: reader.bytes(SIGNATURE_BYTES),
    newSignature: reader.bytes(SIGNATURE_BYTES),
  }));
}

function isAscending(list: readonly number[]): boolean {
  return list.every((value, index) => index === 0 || value > (list[index - 1] ?? value));
}

function checkList(name: string, list: readonly number[]): void {
  if (list.length === 0 || !isAscending(list))
    throw new RangeError(`${name}: expected 1 to 8 in ascending order`);
  checkAtMost(name, list.length, MAX_LIST);
}

function checkAtMost(name: string, length: number, limit: number): void {
  if (length > limit) throw new RangeError(`${name}: expected at most ${limit}, got ${length}`);
}
