import { ProtocolError } from "../errors.ts";
import { type Primitives, type Suite, TAG_BYTES } from "./primitives/index.ts";

// One packet on the wire:
//   lead = header ‖ ciphertext of frames ‖ tag 16        body = ciphertext of chunk
//   header = flags u8 ‖ N u32 [‖ PN u32 ‖ ratchet key 32, when flag "new chain" is set]
//   one AEAD operation over frames ‖ chunk, AD = th ‖ header [‖ u32 length of frames, when a body follows]
// The length is in the associated data because the AEAD sees frames ‖ chunk as one text: without it, whoever sits
// between TLS and the peer could move bytes from the end of the lead to the start of the body, and the tag would hold.

const FLAG_NEW_CHAIN = 0x01;
const FLAG_BODY_FOLLOWS = 0x02;
const KNOWN_FLAGS = FLAG_NEW_CHAIN | FLAG_BODY_FOLLOWS;

const RATCHET_KEY_BYTES = 32;
const SHORT_HEADER_BYTES = 1 + 4;
/** Header of a packet that starts a chain. */
export const NEW_CHAIN_HEADER_BYTES = SHORT_HEADER_BYTES + 4 + RATCHET_KEY_BYTES;
/** Smallest lead: a short header and the tag of no frames at all. */
export const MIN_LEAD_BYTES = SHORT_HEADER_BYTES + TAG_BYTES;
const TRANSCRIPT_BYTES = 32;
const MAX_AD_BYTES = TRANSCRIPT_BYTES + NEW_CHAIN_HEADER_BYTES + 4;

/** What a chain's first packet adds to its header. */
export interface ChainStart {
  /** PN of the Double Ratchet: packets in the sender's previous chain. */
  readonly previousLength: number;
  /** The sender's new ratchet public key, 32 bytes. */
  readonly ratchetKey: Uint8Array;
}

export interface PacketHeader {
  readonly bodyFollows: boolean;
  /** N: number of the packet in its chain, from 0. */
  readonly number: number;
  readonly start: ChainStart | undefined;
}

/** One sealed packet: the lead message, and for bulk the body message right behind it. */
export interface Packet {
  readonly lead: Uint8Array;
  readonly body?: Uint8Array;
}

/** What a packet carried. */
export interface OpenedPacket {
  readonly frames: Uint8Array;
  readonly chunk?: Uint8Array;
}

/**
 * Whether the message is a lead with a body behind it. Only a look at the flags, before anything is authenticated.
 * ProtocolError malformed if the message is no lead.
 */
export function bodyFollows(lead: Uint8Array): boolean {
  const flags = lead[0];
  if (flags === undefined || lead.length < MIN_LEAD_BYTES) {
    throw new ProtocolError("malformed", `a lead of ${lead.length} bytes`);
  }
  if ((flags & ~KNOWN_FLAGS) !== 0) throw new ProtocolError("malformed", `packet flags ${flags}`);
  return (flags & FLAG_BODY_FOLLOWS) !== 0;
}

/** The header of a lead, its ratchet key as a view. ProtocolError malformed. */
export function readHeader(lead: Uint8Array): PacketHeader {
  const follows = bodyFollows(lead);
  const number = readU32(lead, 1);
  if (((lead[0] ?? 0) & FLAG_NEW_CHAIN) === 0) return { bodyFollows: follows, number, start: undefined };
  if (lead.length < NEW_CHAIN_HEADER_BYTES + TAG_BYTES) {
    throw new ProtocolError("malformed", `a lead of ${lead.length} bytes starts a chain`);
  }
  const previousLength = readU32(lead, SHORT_HEADER_BYTES);
  const ratchetKey = lead.subarray(NEW_CHAIN_HEADER_BYTES - RATCHET_KEY_BYTES, NEW_CHAIN_HEADER_BYTES);
  return { bodyFollows: follows, number, start: { previousLength, ratchetKey } };
}

function writeHeader(lead: Uint8Array, header: PacketHeader): void {
  const { start } = header;
  lead[0] = (start === undefined ? 0 : FLAG_NEW_CHAIN) | (header.bodyFollows ? FLAG_BODY_FOLLOWS : 0);
  writeU32(lead, 1, header.number);
  if (start === undefined) return;
  writeU32(lead, SHORT_HEADER_BYTES, start.previousLength);
  lead.set(start.ratchetKey, SHORT_HEADER_BYTES + 4);
}

function headerBytes(header: PacketHeader): number {
  return header.start === undefined ? SHORT_HEADER_BYTES : NEW_CHAIN_HEADER_BYTES;
}

/** Turns frames into packets and back, given the key of the one packet. Bulk is never copied. */
export class PacketCipher {
  readonly #primitives: Primitives;
  readonly #suite: Suite;
  /** th ‖ header ‖ length, written anew for each packet: everything here is synchronous. */
  readonly #ad = new Uint8Array(MAX_AD_BYTES);

  constructor(primitives: Primitives, suite: Suite, transcript: Uint8Array) {
    this.#primitives = primitives;
    this.#suite = suite;
    this.#ad.set(transcript.subarray(0, TRANSCRIPT_BYTES));
  }

  seal(header: PacketHeader, key: Uint8Array, frames: Uint8Array, chunk: Uint8Array | undefined): Packet {
    const headerLength = headerBytes(header);
    const lead = new Uint8Array(headerLength + frames.length + TAG_BYTES);
    writeHeader(lead, header);
    const ad = this.#associatedData(lead, headerLength, header, frames.length);
    const sealed = this.#primitives.sealParts(this.#suite, key, ad, frames, chunk);
    lead.set(sealed.frames, headerLength);
    lead.set(sealed.tag, headerLength + frames.length);
    return sealed.chunk === undefined ? { lead } : { lead, body: sealed.chunk };
  }

  /** ProtocolError badTag if anything in the packet was changed or the key is another one. */
  open(header: PacketHeader, key: Uint8Array, lead: Uint8Array, body: Uint8Array | undefined): OpenedPacket {
    const headerLength = headerBytes(header);
    const tagAt = lead.length - TAG_BYTES;
    const ad = this.#associatedData(lead, headerLength, header, tagAt - headerLength);
    const opened = this.#primitives.openParts(this.#suite, key, ad, {
      frames: lead.subarray(headerLength, tagAt),
      chunk: body,
      tag: lead.subarray(tagAt),
    });
    return opened.chunk === undefined
      ? { frames: opened.frames }
      : { frames: opened.frames, chunk: opened.chunk };
  }

  #associatedData(
    lead: Uint8Array,
    headerLength: number,
    header: PacketHeader,
    framesLength: number,
  ): Uint8Array {
    for (let index = 0; index < headerLength; index++) this.#ad[TRANSCRIPT_BYTES + index] = lead[index] ?? 0;
    const length = TRANSCRIPT_BYTES + headerLength;
    if (!header.bodyFollows) return this.#ad.subarray(0, length);
    writeU32(this.#ad, length, framesLength);
    return this.#ad.subarray(0, length + 4);
  }
}

// By hand and not through DataView: a view of each small message would cost more than its header.
function readU32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  const low = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
  return high * 0x1_0000 + low;
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
