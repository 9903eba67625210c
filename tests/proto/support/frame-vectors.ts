import { Writer } from "../../../src/proto/bytes.ts";
import type { ProtocolErrorName } from "../../../src/proto/errors.ts";
import { encodeFrame } from "../../../src/proto/frame-codec.ts";
import type { Frame } from "../../../src/proto/frames.ts";
import { SAMPLES } from "./frame-samples.ts";

export interface FrameVectors {
  readonly good: readonly { readonly name: string; readonly frame: unknown; readonly hex: string }[];
  readonly bad: readonly {
    readonly name: string;
    readonly hex: string;
    readonly bodyBytes?: number;
    readonly error: ProtocolErrorName;
  }[];
}

/** Plaintexts of packets that must not decode, with the error each must give. */
const BAD: FrameVectors["bad"] = [
  { name: "no frame at all", hex: "", error: "malformed" },
  { name: "unknown type", hex: "7f", error: "unknownFrame" },
  { name: "reserved type", hex: "0b00", error: "unknownFrame" },
  { name: "padding that is not zero", hex: "00000100", error: "malformed" },
  { name: "a frame behind padding", hex: "000f", error: "malformed" },
  { name: "varint in two bytes where one does", hex: "0a4001", error: "notCanonical" },
  { name: "varint in four bytes where two do", hex: "0a80000040", error: "notCanonical" },
  { name: "varint in eight bytes where four do", hex: "0ac000000000000001", error: "notCanonical" },
  { name: "varint above 2^53 - 1", hex: "0ac020000000000000", error: "tooLarge" },
  { name: "varint cut short", hex: "0a80", error: "malformed" },
  { name: "join flag 2", hex: `01${"00".repeat(32)}000000000002`, error: "malformed" },
  { name: "hello cut short", hex: `01${"00".repeat(20)}`, error: "malformed" },
  { name: "accept result 0", hex: "020000000000", error: "malformed" },
  { name: "refusal 0", hex: "0300", error: "malformed" },
  { name: "refusal 99", hex: "0363", error: "malformed" },
  { name: "host kind 2", hex: "040002000000000050", error: "malformed" },
  { name: "empty name", hex: "040003000050", error: "malformed" },
  { name: "name with a space", hex: "04000301200050", error: "malformed" },
  { name: "name with a byte above ASCII", hex: "04000301e90050", error: "malformed" },
  { name: "port 0", hex: "0400017f0000010000", error: "malformed" },
  { name: "dial result 10", hex: "05000a", error: "malformed" },
  { name: "data in unit 0", hex: "060000000161", error: "malformed" },
  { name: "data without bytes and FIN", hex: "0600010000", error: "malformed" },
  { name: "unknown data flag", hex: "060001040161", error: "malformed" },
  { name: "data cut short", hex: "060001000561", error: "malformed" },
  { name: "an inline chunk of 16 KiB", hex: `0600010080004000${"00".repeat(16_384)}`, error: "tooLarge" },
  { name: "a body that is announced and missing", hex: "0600010280004000", error: "malformed" },
  { name: "a body of another length", hex: "0600010280004001", bodyBytes: 16_384, error: "malformed" },
  { name: "a body that no frame takes", hex: "0f", bodyBytes: 16_384, error: "malformed" },
  {
    name: "a frame behind the one with the body",
    hex: "06000102800040000f",
    bodyBytes: 16_384,
    error: "malformed",
  },
  { name: "consumed above the limit", hex: "07000201", error: "malformed" },
  { name: "reset code 0", hex: "090000", error: "malformed" },
  { name: "no resume entry", hex: "100000", error: "tooLarge" },
  { name: "more resume entries than fit", hex: "100201", error: "tooLarge" },
  { name: "resume entry with reset code 9", hex: "1000010000000009", error: "malformed" },
  { name: "gate key cut short", hex: `11${"00".repeat(31)}`, error: "malformed" },
  { name: "more than 20 KiB of frames", hex: "00".repeat(20_481), error: "tooLarge" },
];

/** The vectors as they stand in tests/vectors/frames.json. */
export function frameVectors(): FrameVectors {
  return {
    good: SAMPLES.map(([name, frame]) => ({ name, frame: toJson(frame), hex: encode(frame).toHex() })),
    bad: BAD,
  };
}

export function encode(frame: Frame): Uint8Array {
  const writer = new Writer(new Uint8Array(20_480));
  encodeFrame(writer, frame);
  return new Uint8Array(writer.written());
}

/** The frame with its bytes as hex, for readers in other languages. */
function toJson(frame: Frame): unknown {
  return JSON.parse(
    JSON.stringify(frame, (_, value: unknown) =>
      value instanceof Uint8Array ? { hex: value.toHex() } : value,
    ),
  );
}
