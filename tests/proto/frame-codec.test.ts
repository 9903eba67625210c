import { describe, expect, test } from "bun:test";
import { Writer } from "../../src/proto/bytes.ts";
import { ProtocolError } from "../../src/proto/errors.ts";
import { decodeFrames, encodeFrame, frameLength } from "../../src/proto/frame-codec.ts";
import type { Frame } from "../../src/proto/frames.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { seededRandom } from "../support/pair.ts";
import vectors from "../vectors/frames.json";
import { SAMPLES } from "./support/frame-samples.ts";
import { encode, frameVectors } from "./support/frame-vectors.ts";

const ITERATIONS = Number(process.env.FUZZ_ITERATIONS ?? 20_000);

function encodeAll(frames: readonly Frame[], body = false): Uint8Array {
  const writer = new Writer(new Uint8Array(2 * LIMITS.maxFramesBytes));
  for (const [index, frame] of frames.entries())
    encodeFrame(writer, frame, body && index === frames.length - 1);
  return new Uint8Array(writer.written());
}

/** What decoding gives: frames, or the name of the error. Anything else thrown fails the test. */
function decode(bytes: Uint8Array, chunk?: Uint8Array): readonly Frame[] | string {
  try {
    return decodeFrames(bytes, chunk);
  } catch (error) {
    if (error instanceof ProtocolError) return error.reason;
    throw error;
  }
}

describe("every frame", () => {
  test.each(SAMPLES)("%s comes back as it went in", (_, frame) => {
    expect(decodeFrames(encode(frame))).toEqual([frame]);
  });

  test.each(SAMPLES)("%s has the length that is foretold", (_, frame) => {
    expect(encode(frame).length).toBe(frameLength(frame));
  });

  test.each(SAMPLES.filter(([, { type }]) => type !== "padding"))("%s cut short is malformed", (_, frame) => {
    const whole = encode(frame);
    for (let length = 1; length < whole.length; length++) {
      expect(decode(whole.subarray(0, length))).toBe("malformed");
    }
  });

  test("stands beside the others in one packet", () => {
    const frames = SAMPLES.map(([, frame]) => frame).filter(({ type }) => type !== "padding");
    expect(decodeFrames(encodeAll([...frames, { type: "padding", length: 3 }]))).toEqual([
      ...frames,
      { type: "padding", length: 3 },
    ]);
  });
});

test("a chunk in the body is the last frame's", () => {
  const chunk = new Uint8Array(LIMITS.minBodyBytes).fill(7);
  const data: Frame = { type: "proxyData", stream: 1, firstUnit: 1, fin: true, bytes: chunk };
  const lead = encodeAll([{ type: "ping", nonce: 1 }, data], true);
  expect(lead.length).toBe(2 + frameLength(data, true));
  expect(decodeFrames(lead, chunk)).toEqual([{ type: "ping", nonce: 1 }, data]);
});

describe("vectors", () => {
  test("are those that the code makes", () => {
    expect(JSON.parse(JSON.stringify(frameVectors()))).toEqual(vectors);
  });

  test.each(vectors.good.map(({ name, hex }) => [name, hex] as const))("%s encodes to itself", (_, hex) => {
    const bytes = Uint8Array.fromHex(hex);
    expect(encodeAll(decodeFrames(bytes)).toHex()).toBe(hex);
  });

  test.each(vectors.bad.map((vector) => [vector.name, vector] as const))("%s is refused", (_, vector) => {
    const chunk = "bodyBytes" in vector ? new Uint8Array(Number(vector.bodyBytes)) : undefined;
    expect(decode(Uint8Array.fromHex(vector.hex), chunk)).toBe(vector.error);
  });
});

describe("fuzz", () => {
  const random = seededRandom(Number(process.env.SEED ?? 1));
  const number = (below: number): number => {
    const [a = 0, b = 0, c = 0] = random(3);
    return (a * 65_536 + b * 256 + c) % below;
  };

  /** What decodes must encode to the same bytes; what does not must be a ProtocolError. */
  function check(bytes: Uint8Array): boolean {
    const frames = decode(bytes);
    if (typeof frames === "string") return false;
    expect(encodeAll(frames).toHex()).toBe(bytes.toHex());
    return true;
  }

  test(`${ITERATIONS} mutated packets`, () => {
    const originals = SAMPLES.map(([, frame]) => encode(frame));
    let decoded = 0;
    for (let i = 0; i < ITERATIONS; i++) {
      const parts = Array.from(
        { length: 1 + number(3) },
        () => originals[number(originals.length)] ?? new Uint8Array(0),
      );
      const bytes = new Uint8Array(Buffer.concat(parts));
      for (let flips = number(4); flips > 0 && bytes.length > 0; flips--)
        bytes[number(bytes.length)] = number(256);
      if (check(bytes.subarray(0, bytes.length - number(3)))) decoded++;
    }
    // The mutations must leave enough intact for the identity to be tested at all.
    expect(decoded).toBeGreaterThan(ITERATIONS / 100);
  }, 600_000);

  test(`${ITERATIONS} random packets`, () => {
    for (let i = 0; i < ITERATIONS; i++) check(random(number(40)));
  }, 600_000);
});
