import { describe, expect, test } from "bun:test";
import { AssertionError } from "../../src/proto/assert.ts";
import { type Destination, DIAL_FAILURES, type DialResult } from "../../src/proto/destination.ts";
import { decodeFrames, frameLength } from "../../src/proto/frame-codec.ts";
import { ACCEPT_RESULTS, type Frame, RESET_CODES } from "../../src/proto/frames.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { REFUSALS } from "../../src/proto/refusals.ts";
import { BAD_FRAMES } from "./support/bad-frames.ts";
import { hex, range, repeated, toHex } from "./support/bytes.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { anyData, anyFrame, encodeFrames } from "./support/frames.ts";
import { below, seededRandom } from "./support/random.ts";

function namesOf<Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] {
  return Object.keys(table) as Name[]; // Object.keys forgets the key type of a closed table.
}

const at = (host: Destination["host"], port = 443): Destination => ({ host, port });
const KEY = range(0x80, 0x9f);
const HELLO = {
  type: "hello",
  tunnel: KEY,
  slot: 3,
  gen: 0x0102_0304,
  capabilities: 5,
  poolBytes: 67_108_864,
  base: 64,
  entries: 2,
} as const;
const KEY_HEX = toHex(KEY);

/** Every frame with its bytes, worked out by hand from docs/PROTOCOL.md section 6. */
const EXAMPLES: readonly [title: string, frame: Frame, bytes: string][] = [
  ["Padding of one byte", { type: "padding", length: 1 }, "00"],
  ["Padding of four bytes", { type: "padding", length: 4 }, "00000000"],
  ["Hello", HELLO, `01 ${KEY_HEX} 03 01020304 00 05 84000000 4040 02`],
  [
    "Hello that joins",
    { ...HELLO, join: range(1, 16) },
    `01 ${KEY_HEX} 03 01020304 01 ${toHex(range(1, 16))} 05 84000000 4040 02`,
  ],
  [
    "Hello with the highest slot and gen",
    { ...HELLO, slot: 255, gen: 0xffff_ffff },
    `01 ${KEY_HEX} ff ffffffff 00 05 84000000 4040 02`,
  ],
  [
    "Accept",
    { type: "accept", result: "resumed", capabilities: 0, poolBytes: 65_536, maxStreams: 16_384, entries: 0 },
    "02 02 00 80010000 80004000 00",
  ],
  [
    "Accept that states a resume window",
    {
      type: "accept",
      result: "created",
      capabilities: 1,
      poolBytes: 65_536,
      maxStreams: 16_384,
      entries: 0,
      resumeWindowMs: 300_000,
    },
    "02 01 01 80010000 80004000 00 800493e0",
  ],
  [
    "Accept with capabilities that nobody knows",
    { type: "accept", result: "created", capabilities: 6, poolBytes: 0, maxStreams: 0, entries: 0 },
    "02 01 06 00 00 00",
  ],
  ["Refuse", { type: "refuse", refusal: "staleLink" }, "03 09"],
  [
    "ProxyConnect to an IPv4 address",
    { type: "proxyConnect", stream: 0, destination: at({ kind: "ipv4", address: hex("c0000201") }) },
    "04 00 01 c0000201 01bb",
  ],
  [
    "ProxyConnect to an IPv6 address",
    { type: "proxyConnect", stream: 64, destination: at({ kind: "ipv6", address: range(0, 15) }, 65_535) },
    `04 4040 04 ${toHex(range(0, 15))} ffff`,
  ],
  [
    "ProxyConnect to a name",
    { type: "proxyConnect", stream: 1, destination: at({ kind: "name", name: "a.example" }, 1) },
    "04 01 03 09 612e6578616d706c65 0001",
  ],
  ["ProxyResponse", { type: "proxyResponse", stream: 7, result: "connected" }, "05 07 00"],
  ["ProxyResponse of a failure", { type: "proxyResponse", stream: 7, result: "nameNotFound" }, "05 07 07"],
  [
    "ProxyData",
    { type: "proxyData", stream: 2, firstUnit: 1, fin: false, bytes: hex("0a0b") },
    "06 02 01 00 02 0a0b",
  ],
  [
    "ProxyData with FIN",
    { type: "proxyData", stream: 2, firstUnit: 64, fin: true, bytes: hex("0a") },
    "06 02 4040 01 01 0a",
  ],
  [
    "ProxyData of FIN alone",
    { type: "proxyData", stream: 2, firstUnit: 3, fin: true, bytes: hex("") },
    "06 02 03 01 00",
  ],
  ["WindowUpdate", { type: "windowUpdate", stream: 2, consumed: 63, limit: 262_144 }, "07 02 3f 80040000"],
  ["PacketAck", { type: "packetAck", count: 100, delayUs: 9_999 }, "08 4064 670f"],
  ["Reset", { type: "reset", stream: 63, code: "closed" }, "09 3f 05"],
  ["ResetAck", { type: "resetAck", stream: 63 }, "0a 3f"],
  ["Ping", { type: "ping", nonce: 0 }, "0c 00"],
  ["Pong", { type: "pong", nonce: Number.MAX_SAFE_INTEGER }, "0d c01fffffffffffff"],
  ["GoAway", { type: "goAway" }, "0f"],
  [
    "Resume",
    {
      type: "resume",
      entries: [
        { stream: 0, next: 5, consumed: 4, limit: 262_148 },
        { stream: 1, next: 0, consumed: 0, limit: 0, reset: "lost" },
      ],
    },
    "10 0002 00 05 04 80040004 00 01 00 00 00 04",
  ],
  ["GateKey", { type: "gateKey", key: KEY }, `11 ${KEY_HEX}`],
];

describe("each frame has one encoding", () => {
  test.each(EXAMPLES)("%s", (_, frame, text) => {
    expect(toHex(encodeFrames([frame]))).toBe(toHex(hex(text)));
    expect(decodeFrames(hex(text))).toEqual([frame]);
    expect(frameLength(frame)).toBe(hex(text).length);
  });

  test.each(EXAMPLES)("%s cut off anywhere is malformed", (_, { type }, text) => {
    if (type === "padding") return; // Shorter padding is padding.
    for (let length = 0; length < hex(text).length; length++) {
      expect(protocolErrorOf(() => decodeFrames(hex(text).subarray(0, length)))).toBe("malformed");
    }
  });

  test.each(EXAMPLES)("%s with a byte behind it is not the same packet", (_, frame, text) => {
    const longer = hex(`${text}00`);
    if (frame.type === "padding")
      expect(decodeFrames(longer)).toEqual([{ type: "padding", length: longer.length }]);
    else expect(decodeFrames(longer)).toEqual([frame, { type: "padding", length: 1 }]);
  });

  test("every code of every table", () => {
    const frames: Frame[] = [
      ...namesOf(REFUSALS).map((refusal) => ({ type: "refuse", refusal }) as const),
      ...namesOf(RESET_CODES).map((code) => ({ type: "reset", stream: 1, code }) as const),
      ...[...namesOf(DIAL_FAILURES), "connected" as DialResult].map(
        (result) => ({ type: "proxyResponse", stream: 1, result }) as const,
      ),
      ...namesOf(ACCEPT_RESULTS).map(
        (result) =>
          ({ type: "accept", result, capabilities: 0, poolBytes: 0, maxStreams: 0, entries: 0 }) as const,
      ),
      ...namesOf(RESET_CODES).map(
        (reset) =>
          ({ type: "resume", entries: [{ stream: 1, next: 0, consumed: 0, limit: 0, reset }] }) as const,
      ),
    ];
    expect(decodeFrames(encodeFrames(frames))).toEqual(frames);
  });

  test("random packets of several frames come back as they were", () => {
    const random = seededRandom("packets of frames");
    for (let round = 0; round < 1_000; round++) {
      const frames = Array.from({ length: 1 + below(random, 6) }, () => anyFrame(random));
      if (below(random, 2) === 0) frames.push({ type: "padding", length: 1 + below(random, 100) });
      const bytes = encodeFrames(frames);
      expect(decodeFrames(bytes)).toEqual(frames);
      expect(bytes.length).toBe(frames.reduce((sum, frame) => sum + frameLength(frame), 0));
    }
  });

  test("an unknown capability bit is carried, not refused", () => {
    const hello: Frame = { ...HELLO, capabilities: 2 ** 52 + 1 };
    expect(decodeFrames(encodeFrames([hello]))).toEqual([hello]);
  });
});

describe("what is wrong with a field", () => {
  test.each(BAD_FRAMES)("$error: $name", ({ error, hex: text, bodyBytes }) => {
    const chunk = bodyBytes === undefined ? undefined : new Uint8Array(bodyBytes);
    expect<string>(protocolErrorOf(() => decodeFrames(hex(text), chunk))).toBe(error);
  });

  test("names of 255 bytes are the longest, of 0x21 and 0x7e the outermost", () => {
    expect(decodeFrames(hex(`04 00 03 ff ${"61".repeat(255)} 01bb`))).toHaveLength(1);
    expect(decodeFrames(hex("04 00 03 02 217e 01bb"))).toHaveLength(1);
  });

  test("20 KiB of frames are allowed, and so is an inline chunk of a byte less than 16 KiB", () => {
    expect(decodeFrames(repeated(0, LIMITS.maxFramesBytes))).toEqual([
      { type: "padding", length: LIMITS.maxFramesBytes },
    ]);
    const frame = anyData(seededRandom("chunk"), LIMITS.minBodyBytes - 1);
    expect(decodeFrames(encodeFrames([frame]))).toEqual([frame]);
  });
});

describe("a body", () => {
  const chunk = seededRandom("body")(LIMITS.minBodyBytes);
  const data: Frame = { type: "proxyData", stream: 9, firstUnit: 1, fin: false, bytes: chunk };

  test("is the bytes of the last frame, which says only its length", () => {
    const lead = encodeFrames([{ type: "goAway" }, data], true);
    expect(toHex(lead)).toBe("0f06090102" + "80004000");
    expect(lead.length).toBe(1 + frameLength(data, true));
    const [, frame] = decodeFrames(lead, chunk);
    expect(frame).toEqual(data);
    // Not copied: bulk is never copied to be put together.
    expect(frame?.type === "proxyData" && frame.bytes.buffer === chunk.buffer).toBe(true);
  });

  test("may come with FIN", () => {
    const last: Frame = { ...data, fin: true };
    expect(decodeFrames(encodeFrames([last], true), chunk)).toEqual([last]);
  });
});

describe("the encoder refuses what no decoder would take", () => {
  test.each([
    ["a tunnel's secret of 31 bytes", { ...HELLO, tunnel: KEY.subarray(1) }],
    ["a join secret of 15 bytes", { ...HELLO, join: range(1, 15) }],
    ["gen 2^32", { ...HELLO, gen: 2 ** 32 }],
    ["slot 256", { ...HELLO, slot: 256 }],
    ["a gate key of 33 bytes", { type: "gateKey", key: range(0, 32) }],
    ["no padding at all", { type: "padding", length: 0 }],
    ["no resume entries", { type: "resume", entries: [] }],
    ["port 65536", { type: "proxyConnect", stream: 0, destination: at({ kind: "name", name: "a" }, 65_536) }],
    ["port 0", { type: "proxyConnect", stream: 0, destination: at({ kind: "name", name: "a" }, 0) }],
    [
      "a name of 256 bytes",
      { type: "proxyConnect", stream: 0, destination: at({ kind: "name", name: "a".repeat(256) }) },
    ],
    ["a name in Unicode", { type: "proxyConnect", stream: 0, destination: at({ kind: "name", name: "é" }) }],
    [
      "an IPv4 address of 5 bytes",
      { type: "proxyConnect", stream: 0, destination: at({ kind: "ipv4", address: range(1, 5) }) },
    ],
    ["unit 0 as data", { type: "proxyData", stream: 0, firstUnit: 0, fin: true, bytes: hex("") }],
    ["neither bytes nor FIN", { type: "proxyData", stream: 0, firstUnit: 1, fin: false, bytes: hex("") }],
    ["16 KiB inline", { type: "proxyData", stream: 0, firstUnit: 1, fin: false, bytes: repeated(0, 16_384) }],
    ["consumed above limit", { type: "windowUpdate", stream: 0, consumed: 2, limit: 1 }],
  ] as [string, Frame][])("%s", (_, frame) => {
    expect(() => encodeFrames([frame])).toThrow(AssertionError);
  });

  test("a body anywhere but in ProxyData", () => {
    expect(() => encodeFrames([{ type: "goAway" }], true)).toThrow(AssertionError);
  });
});
