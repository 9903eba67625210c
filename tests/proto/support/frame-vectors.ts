import type { ProtocolErrorName } from "../../../src/proto/errors.ts";
import { BAD_FRAMES } from "./bad-frames.ts";
import { hex } from "./bytes.ts";
import { SAMPLES } from "./frame-samples.ts";
import { encodeFrames } from "./frames.ts";

export interface FrameVectors {
  readonly description: string;
  readonly good: readonly { readonly name: string; readonly frame: unknown; readonly hex: string }[];
  readonly bad: readonly {
    readonly name: string;
    readonly hex: string;
    readonly bodyBytes?: number;
    readonly error: ProtocolErrorName;
  }[];
}

/** The vectors as they stand in tests/vectors/frames.json. */
export function frameVectors(): FrameVectors {
  return {
    description:
      "Plaintexts of packets. good: one frame each, which decodes to `frame` and encodes to `hex`. bad: refused with `error`; where `bodyBytes` is given, the packet has a body of so many zeros.",
    good: SAMPLES.map(([name, frame]) => ({
      name,
      frame: toJson(frame),
      hex: encodeFrames([frame]).toHex(),
    })),
    bad: BAD_FRAMES.map((bad) => ({ ...bad, hex: hex(bad.hex).toHex() })),
  };
}

/** A frame with its bytes as hex, for readers in other languages. */
export function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return { hex: value.toHex() };
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, toJson(field)]));
}
