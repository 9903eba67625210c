import { assert, unreachable } from "./assert.ts";
import {
  acceptLength,
  decodeAccept,
  decodeHello,
  encodeAccept,
  encodeHello,
  helloLength,
} from "./attach-frames.ts";
import { Reader, varintLength, varintsLength, type Writer } from "./bytes.ts";
import { ProtocolError } from "./errors.ts";
import {
  destinationLength,
  dialResults,
  readDestination,
  readResumeEntry,
  refusals,
  resetCodes,
  resumeEntryLength,
  writeDestination,
  writeResumeEntry,
} from "./frame-fields.ts";
import { type Frame, FrameType, type ProxyDataFrame } from "./frames.ts";
import { LIMITS } from "./limits.ts";

/**
 * Bytes to frames and back. Decoding is total (any bytes give frames or a `ProtocolError`) and canonical (what decodes
 * encodes to the same bytes), so that two implementations can never read one packet differently. The encoder throws
 * rather than write what no decoder would take: the peer would end this link, and the next one on the same frame.
 */

const FLAG_FIN = 0x01;
const FLAG_BODY = 0x02;
const GATE_KEY_BYTES = 32;

/** Appends one frame. `body` says that the bytes of a ProxyData frame travel in the body message. */
export function encodeFrame(writer: Writer, frame: Frame, body = false): void {
  assert(!body || frame.type === "proxyData", "only ProxyData has a body");
  writer.u8(FrameType[frame.type]);
  switch (frame.type) {
    case "padding":
      return writer.zeros(frame.length - 1);
    case "hello":
      return encodeHello(writer, frame);
    case "accept":
      return encodeAccept(writer, frame);
    case "refuse":
      return writer.u8(refusals.code(frame.refusal));
    case "proxyConnect":
      writer.varint(frame.stream);
      return writeDestination(writer, frame.destination);
    case "proxyResponse":
      writer.varint(frame.stream);
      return writer.u8(dialResults.code(frame.result));
    case "proxyData":
      return encodeProxyData(writer, frame, body);
    case "windowUpdate":
      assert(frame.consumed <= frame.limit, "nobody takes bytes above the credit limit");
      writer.varint(frame.stream);
      writer.varint(frame.consumed);
      return writer.varint(frame.limit);
    case "packetAck":
      writer.varint(frame.count);
      return writer.varint(frame.delayUs);
    case "reset":
      writer.varint(frame.stream);
      return writer.u8(resetCodes.code(frame.code));
    case "resetAck":
      return writer.varint(frame.stream);
    case "ping":
    case "pong":
      return writer.varint(frame.nonce);
    case "goAway":
      return;
    case "resume":
      assert(
        frame.entries.length > 0 && frame.entries.length <= LIMITS.maxResumeEntries,
        "entries of a frame",
      );
      writer.u16(frame.entries.length);
      for (const entry of frame.entries) writeResumeEntry(writer, entry);
      return;
    case "gateKey":
      return writer.fixed(frame.key, GATE_KEY_BYTES);
    default:
      unreachable(frame);
  }
}

/** Bytes that `frame` takes in the lead; the bytes of a body do not count. */
export function frameLength(frame: Frame, body = false): number {
  switch (frame.type) {
    case "padding":
      return frame.length;
    case "hello":
      return helloLength(frame);
    case "accept":
      return acceptLength(frame);
    case "refuse":
      return 2;
    case "proxyConnect":
      return 1 + varintLength(frame.stream) + destinationLength(frame.destination);
    case "proxyResponse":
    case "reset":
      return 2 + varintLength(frame.stream);
    case "proxyData":
      return (
        2 + varintsLength(frame.stream, frame.firstUnit, frame.bytes.length) + (body ? 0 : frame.bytes.length)
      );
    case "windowUpdate":
      return 1 + varintsLength(frame.stream, frame.consumed, frame.limit);
    case "packetAck":
      return 1 + varintsLength(frame.count, frame.delayUs);
    case "resetAck":
      return 1 + varintLength(frame.stream);
    case "ping":
    case "pong":
      return 1 + varintLength(frame.nonce);
    case "goAway":
      return 1;
    case "resume":
      return frame.entries.reduce((sum, entry) => sum + resumeEntryLength(entry), 3);
    case "gateKey":
      return 1 + GATE_KEY_BYTES;
    default:
      return unreachable(frame);
  }
}

/**
 * Decodes the plaintext of one packet. `chunk` is the plaintext of its body message, taken by the last frame; a packet
 * with a body and no such frame, or the reverse, is malformed.
 */
export function decodeFrames(plaintext: Uint8Array, chunk?: Uint8Array): Frame[] {
  if (plaintext.length > LIMITS.maxFramesBytes) throw new ProtocolError("tooLarge", "frames of a lead");
  const reader = new Reader(plaintext);
  const frames: Frame[] = [];
  let body = chunk;
  while (reader.remaining > 0) {
    const type = reader.u8();
    if (type === FrameType.proxyData) {
      const { frame, inBody } = decodeProxyData(reader, body);
      frames.push(frame);
      if (!inBody) continue;
      if (reader.remaining > 0) throw new ProtocolError("malformed", "a frame behind the one with the body");
      body = undefined;
    } else {
      frames.push(decodeFrame(type, reader));
    }
  }
  if (body !== undefined) throw new ProtocolError("malformed", "a body that no frame takes");
  if (frames.length === 0) throw new ProtocolError("malformed", "a packet without frames");
  return frames;
}

function decodeFrame(type: number, reader: Reader): Frame {
  switch (type) {
    case FrameType.padding:
      return decodePadding(reader);
    case FrameType.hello:
      return decodeHello(reader);
    case FrameType.accept:
      return decodeAccept(reader);
    case FrameType.refuse:
      return { type: "refuse", refusal: refusals.name(reader.u8()) };
    case FrameType.proxyConnect:
      return { type: "proxyConnect", stream: reader.varint(), destination: readDestination(reader) };
    case FrameType.proxyResponse:
      return { type: "proxyResponse", stream: reader.varint(), result: dialResults.name(reader.u8()) };
    case FrameType.windowUpdate:
      return decodeWindowUpdate(reader);
    case FrameType.packetAck:
      return { type: "packetAck", count: reader.varint(), delayUs: reader.varint() };
    case FrameType.reset:
      return { type: "reset", stream: reader.varint(), code: resetCodes.name(reader.u8()) };
    case FrameType.resetAck:
      return { type: "resetAck", stream: reader.varint() };
    case FrameType.ping:
      return { type: "ping", nonce: reader.varint() };
    case FrameType.pong:
      return { type: "pong", nonce: reader.varint() };
    case FrameType.goAway:
      return { type: "goAway" };
    case FrameType.resume:
      return decodeResume(reader);
    case FrameType.gateKey:
      return { type: "gateKey", key: new Uint8Array(reader.bytes(GATE_KEY_BYTES)) };
    default:
      throw new ProtocolError("unknownFrame", `type ${type}`);
  }
}

function decodePadding(reader: Reader): Frame {
  const length = 1 + reader.remaining;
  if (!reader.restIsZero()) throw new ProtocolError("malformed", "padding that is not zero");
  return { type: "padding", length };
}

function encodeProxyData(writer: Writer, frame: ProxyDataFrame, body: boolean): void {
  assert(frame.firstUnit > 0 && (frame.fin || frame.bytes.length > 0), "ProxyData has bytes or FIN");
  assert(body || frame.bytes.length < LIMITS.minBodyBytes, "a large chunk goes into the body");
  writer.varint(frame.stream);
  writer.varint(frame.firstUnit);
  writer.u8((frame.fin ? FLAG_FIN : 0) | (body ? FLAG_BODY : 0));
  writer.varint(frame.bytes.length);
  if (!body) writer.bytes(frame.bytes);
}

function decodeProxyData(
  reader: Reader,
  chunk: Uint8Array | undefined,
): { frame: ProxyDataFrame; inBody: boolean } {
  const stream = reader.varint();
  const firstUnit = reader.varint();
  const flags = reader.u8();
  const length = reader.varint();
  const fin = (flags & FLAG_FIN) !== 0;
  const inBody = (flags & FLAG_BODY) !== 0;
  if (flags > (FLAG_FIN | FLAG_BODY)) throw new ProtocolError("malformed", `ProxyData flags ${flags}`);
  if (firstUnit === 0) throw new ProtocolError("malformed", "unit 0 is not data");
  if (length === 0 && !fin) throw new ProtocolError("malformed", "ProxyData without bytes and without FIN");
  if (!inBody && length >= LIMITS.minBodyBytes) throw new ProtocolError("tooLarge", "inline chunk");
  if (inBody && chunk?.length !== length) throw new ProtocolError("malformed", "length of the body");
  const bytes = inBody && chunk !== undefined ? chunk : reader.bytes(length);
  return { frame: { type: "proxyData", stream, firstUnit, fin, bytes }, inBody };
}

function decodeWindowUpdate(reader: Reader): Frame {
  const stream = reader.varint();
  const consumed = reader.varint();
  const limit = reader.varint();
  if (consumed > limit) throw new ProtocolError("malformed", "consumed above the credit limit");
  return { type: "windowUpdate", stream, consumed, limit };
}

function decodeResume(reader: Reader): Frame {
  const count = reader.u16();
  if (count === 0 || count > LIMITS.maxResumeEntries)
    throw new ProtocolError("tooLarge", `${count} resume entries`);
  return { type: "resume", entries: Array.from({ length: count }, () => readResumeEntry(reader)) };
}
