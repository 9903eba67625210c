import { Writer } from "../../../src/proto/bytes.ts";
import { type Destination, DIAL_FAILURES, type DialResult } from "../../../src/proto/destination.ts";
import { encodeFrame } from "../../../src/proto/frame-codec.ts";
import {
  ACCEPT_RESULTS,
  type AcceptResult,
  type Frame,
  RESET_CODES,
  type ResetCode,
  type ResumeEntry,
} from "../../../src/proto/frames.ts";
import { LIMITS } from "../../../src/proto/limits.ts";
import type { Random } from "../../../src/proto/random.ts";
import { REFUSALS, type Refusal } from "../../../src/proto/refusals.ts";
import { below, pick } from "./random.ts";

// Frames for tests: one of each shape with edge values, and any number of random ones.

// Object.keys forgets the key type; the tables are closed objects of the protocol's.
const RESET_NAMES = Object.keys(RESET_CODES) as ResetCode[];
const RESULT_NAMES = Object.keys(ACCEPT_RESULTS) as AcceptResult[];
const REFUSAL_NAMES = Object.keys(REFUSALS) as Refusal[];
const DIAL_NAMES: DialResult[] = ["connected", ...(Object.keys(DIAL_FAILURES) as DialResult[])];

/** The plaintext of a packet; with `body` the bytes of its last frame are left to the body message. */
export function encodeFrames(frames: readonly Frame[], body = false): Uint8Array {
  const writer = new Writer(new Uint8Array(LIMITS.maxFramesBytes));
  for (const frame of frames) encodeFrame(writer, frame, body && frame === frames.at(-1));
  return writer.written();
}

/** A value of every varint length, small ones more often. */
export function anyVarint(random: Random): number {
  const limits = [4, 64, 16_384, 2 ** 30, 2 ** 53];
  const limit = pick(random, limits);
  return Math.min(Math.floor((below(random, 2 ** 31) / 2 ** 31) * limit), Number.MAX_SAFE_INTEGER);
}

export function anyDestination(random: Random): Destination {
  const port = 1 + below(random, 65_535);
  switch (below(random, 3)) {
    case 0:
      return { host: { kind: "ipv4", address: random(4) }, port };
    case 1:
      return { host: { kind: "ipv6", address: random(16) }, port };
    default: {
      const name = random(1 + below(random, 255)).map((byte) => 0x21 + (byte % 94));
      return { host: { kind: "name", name: String.fromCharCode(...name) }, port };
    }
  }
}

export function anyEntry(random: Random): ResumeEntry {
  const [a, b] = [anyVarint(random), anyVarint(random)];
  const entry = {
    stream: anyVarint(random),
    next: anyVarint(random),
    consumed: Math.min(a, b),
    limit: Math.max(a, b),
  };
  return below(random, 3) === 0 ? { ...entry, reset: pick(random, RESET_NAMES) } : entry;
}

/** One random frame of any type but Padding, which has its place at the end of a packet only. */
export function anyFrame(random: Random): Frame {
  const makers: (() => Frame)[] = [
    () => ({
      type: "hello",
      tunnel: random(32),
      slot: below(random, 256),
      gen: below(random, 2 ** 32),
      capabilities: anyVarint(random),
      poolBytes: anyVarint(random),
      base: anyVarint(random),
      entries: anyVarint(random),
      ...(below(random, 2) === 0 ? {} : { join: random(16) }),
    }),
    () => {
      const capabilities = anyVarint(random);
      return {
        type: "accept",
        result: pick(random, RESULT_NAMES),
        capabilities,
        poolBytes: anyVarint(random),
        maxStreams: anyVarint(random),
        entries: anyVarint(random),
        ...(capabilities % 2 === 1 ? { resumeWindowMs: anyVarint(random) } : {}),
      };
    },
    () => ({ type: "refuse", refusal: pick(random, REFUSAL_NAMES) }),
    () => ({ type: "proxyConnect", stream: anyVarint(random), destination: anyDestination(random) }),
    () => ({ type: "proxyResponse", stream: anyVarint(random), result: pick(random, DIAL_NAMES) }),
    () => anyData(random, below(random, 600)),
    () => {
      const [a, b] = [anyVarint(random), anyVarint(random)];
      return {
        type: "windowUpdate",
        stream: anyVarint(random),
        consumed: Math.min(a, b),
        limit: Math.max(a, b),
      };
    },
    () => ({ type: "packetAck", count: anyVarint(random), delayUs: anyVarint(random) }),
    () => ({ type: "reset", stream: anyVarint(random), code: pick(random, RESET_NAMES) }),
    () => ({ type: "resetAck", stream: anyVarint(random) }),
    () => ({ type: "ping", nonce: anyVarint(random) }),
    () => ({ type: "pong", nonce: anyVarint(random) }),
    () => ({ type: "goAway" }),
    () => ({
      type: "resume",
      entries: Array.from({ length: 1 + below(random, 20) }, () => anyEntry(random)),
    }),
    () => ({ type: "gateKey", key: random(32) }),
  ];
  return pick(random, makers)();
}

/** ProxyData of `length` bytes. */
export function anyData(random: Random, length: number): Extract<Frame, { type: "proxyData" }> {
  return {
    type: "proxyData",
    stream: anyVarint(random),
    firstUnit: 1 + Math.floor(anyVarint(random) / 2),
    fin: length === 0 || below(random, 4) === 0,
    bytes: random(length),
  };
}
