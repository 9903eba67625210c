import { describe, expect, test } from "bun:test";
import { concatBytes } from "../../src/proto/crypto/octets.ts";
import { ProtocolError } from "../../src/proto/errors.ts";
import { decodeFrames } from "../../src/proto/frame-codec.ts";
import type { Frame } from "../../src/proto/frames.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import type { Random } from "../../src/proto/random.ts";
import { flipBit, toHex } from "./support/bytes.ts";
import { anyData, anyFrame, encodeFrames } from "./support/frames.ts";
import { fuzzIterations } from "./support/iterations.ts";
import { below, pick, seededRandom } from "./support/random.ts";

const ITERATIONS = fuzzIterations(20_000);
const CHUNK = seededRandom("fuzz chunk")(LIMITS.minBodyBytes);
// The slowest inputs are packets of thousands of frames.
const TIMEOUT_MS = 10_000 + ITERATIONS * 5;

interface Input {
  readonly plaintext: Uint8Array;
  readonly chunk?: Uint8Array;
}

/** Frames, or undefined where a ProtocolError said no. Any other error fails the test. */
function decoded({ plaintext, chunk }: Input): Frame[] | undefined {
  try {
    return decodeFrames(plaintext, chunk);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw new Error(`${String(error)} for ${toHex(plaintext)}`, { cause: error });
  }
}

/** What decodes encodes to the same bytes, and holds no more than came in. */
function checkOne(input: Input): boolean {
  const frames = decoded(input);
  if (frames === undefined) return false;
  const { plaintext, chunk } = input;
  const again = encodeFrames(frames, chunk !== undefined);
  if (toHex(again) !== toHex(plaintext)) throw new Error(`${toHex(plaintext)} encodes as ${toHex(again)}`);
  if (frames.length > plaintext.length)
    throw new Error(`${frames.length} frames of ${plaintext.length} bytes`);
  const held = frames.reduce((sum, frame) => sum + heldBytes(frame), 0);
  const given = plaintext.length + (chunk?.length ?? 0);
  if (held > given) throw new Error(`${held} bytes held of ${given}: ${toHex(plaintext)}`);
  return true;
}

/** Bytes that a decoded frame keeps, entries counted by their smallest encoding. */
function heldBytes(frame: Frame): number {
  switch (frame.type) {
    case "proxyData":
      return frame.bytes.length;
    case "resume":
      return frame.entries.length * 5;
    case "hello":
      return frame.tunnel.length + (frame.join?.length ?? 0);
    case "gateKey":
      return frame.key.length;
    default:
      return 1;
  }
}

function validInput(random: Random): Input {
  const frames = Array.from({ length: 1 + below(random, 4) }, () => anyFrame(random));
  if (below(random, 4) === 0) {
    const data = { ...anyData(random, 1), bytes: CHUNK };
    return { plaintext: encodeFrames([...frames, data], true), chunk: CHUNK };
  }
  if (below(random, 3) === 0) frames.push({ type: "padding", length: 1 + below(random, 60) });
  return { plaintext: encodeFrames(frames) };
}

/** The input with a few changes of the kinds that find parsers out. */
function mutated(random: Random, { plaintext, chunk }: Input): Input {
  let bytes = Uint8Array.from(plaintext);
  for (let changes = 1 + below(random, 3); changes > 0; changes--) {
    const at = below(random, bytes.length + 1);
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
    const changed: (() => Uint8Array)[] = [
      () => (bytes.length === 0 ? bytes : flipBit(bytes, below(random, bytes.length * 8))),
      () => concatBytes(head, tail.subarray(1)),
      () => concatBytes(head, random(1 + below(random, 8)), tail),
      () => head,
      () => concatBytes(head, pick(random, EDGES), tail.subarray(1)),
      () => concatBytes(bytes, bytes.subarray(at)),
    ];
    bytes = Uint8Array.from(pick(random, changed)());
  }
  const keep = chunk !== undefined && below(random, 8) > 0;
  return keep ? { plaintext: bytes, chunk } : { plaintext: bytes };
}

/** Values that lengths, counts and varints break at. */
const EDGES = [
  "00",
  "01",
  "3f",
  "40",
  "7fff",
  "80000000",
  "bfffffff",
  "c01fffffffffffff",
  "c020000000000000",
  "ff",
  "ffffffffffffffff",
  "0200",
  "0201",
].map((text) => Uint8Array.fromHex(text));

describe(`${ITERATIONS} inputs: nothing but a ProtocolError, and one encoding of everything`, () => {
  test(
    "random bytes",
    () => {
      const random = seededRandom("random bytes");
      for (let round = 0; round < ITERATIONS; round++) checkOne({ plaintext: random(below(random, 80)) });
    },
    TIMEOUT_MS,
  );

  test(
    "random bytes behind a known type",
    () => {
      const random = seededRandom("known types");
      let accepted = 0;
      for (let round = 0; round < ITERATIONS; round++) {
        const small = random(1 + below(random, 60)).map((byte) => (byte & 0x80 ? byte & 0x03 : byte));
        small[0] = below(random, 0x13);
        if (checkOne({ plaintext: small })) accepted += 1;
      }
      // Else the test would exercise the first line of the decoder only.
      expect(accepted).toBeGreaterThan(ITERATIONS / 1_000);
    },
    TIMEOUT_MS,
  );

  test(
    "packets that are right, and the same with changes",
    () => {
      const random = seededRandom("mutated packets");
      let survived = 0;
      for (let round = 0; round < ITERATIONS; round++) {
        const input = validInput(random);
        if (!checkOne(input)) throw new Error(`refused: ${toHex(input.plaintext)}`);
        if (checkOne(mutated(random, input))) survived += 1;
      }
      expect(survived).toBeGreaterThan(ITERATIONS / 100);
      expect(survived).toBeLessThan(ITERATIONS);
    },
    TIMEOUT_MS,
  );

  test(
    "leads as large as can be, of one kind of frame",
    () => {
      const random = seededRandom("large leads");
      for (let round = 0; round < Math.ceil(ITERATIONS / 500); round++) {
        const one = encodeFrames([anyFrame(random)]);
        const copies = Math.floor(LIMITS.maxFramesBytes / one.length);
        const whole = concatBytes(...Array.from({ length: copies }, () => one));
        expect(checkOne({ plaintext: whole })).toBe(true);
        checkOne(mutated(random, { plaintext: whole }));
        expect(
          decoded({ plaintext: concatBytes(whole, new Uint8Array(LIMITS.maxFramesBytes)) }),
        ).toBeUndefined();
      }
    },
    TIMEOUT_MS,
  );
});
