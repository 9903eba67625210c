import type { Frame } from "../../../src/proto/frames.ts";

/** One frame of each kind and of each shape that a kind can have, with a name for reports. */
export const SAMPLES: readonly (readonly [name: string, frame: Frame])[] = [
  ["padding of one byte", { type: "padding", length: 1 }],
  ["padding", { type: "padding", length: 90 }],
  [
    "hello",
    {
      type: "hello",
      tunnel: bytes(32, 1),
      slot: 0,
      gen: 7,
      capabilities: 0,
      poolBytes: 64 * 1024 * 1024,
      base: 12,
      entries: 3,
    },
  ],
  [
    "hello with an invite",
    {
      type: "hello",
      tunnel: bytes(32, 2),
      slot: 255,
      gen: 0xffff_ffff,
      join: bytes(16, 3),
      capabilities: 5,
      poolBytes: 0,
      base: 0,
      entries: 0,
    },
  ],
  [
    "accept",
    {
      type: "accept",
      result: "resumed",
      capabilities: 0,
      poolBytes: 16_383,
      maxStreams: 16_384,
      entries: 2,
    },
  ],
  [
    "accept that states a resume window",
    {
      type: "accept",
      result: "created",
      capabilities: 1,
      poolBytes: 16_383,
      maxStreams: 16_384,
      entries: 0,
      resumeWindowMs: 300_000,
    },
  ],
  ["refuse", { type: "refuse", refusal: "revoked" }],
  [
    "connect to a name",
    {
      type: "proxyConnect",
      stream: 63,
      destination: { host: { kind: "name", name: "example.com" }, port: 443 },
    },
  ],
  [
    "connect to IPv4",
    {
      type: "proxyConnect",
      stream: 64,
      destination: { host: { kind: "ipv4", address: bytes(4, 9) }, port: 1 },
    },
  ],
  [
    "connect to IPv6",
    {
      type: "proxyConnect",
      stream: 2 ** 30,
      destination: { host: { kind: "ipv6", address: bytes(16, 9) }, port: 65_535 },
    },
  ],
  ["response", { type: "proxyResponse", stream: 0, result: "connected" }],
  ["response with a failure", { type: "proxyResponse", stream: 0, result: "nameNotFound" }],
  ["data", { type: "proxyData", stream: 4, firstUnit: 1, fin: false, bytes: bytes(5, 60) }],
  ["data with FIN", { type: "proxyData", stream: 4, firstUnit: 70_000, fin: true, bytes: bytes(64, 60) }],
  ["FIN alone", { type: "proxyData", stream: 4, firstUnit: 1, fin: true, bytes: bytes(0, 0) }],
  ["window update", { type: "windowUpdate", stream: 9, consumed: 2 ** 40, limit: 2 ** 40 + 1 }],
  ["packet ack", { type: "packetAck", count: 1, delayUs: 9_999 }],
  ["reset", { type: "reset", stream: 3, code: "lost" }],
  ["reset ack", { type: "resetAck", stream: 3 }],
  ["ping", { type: "ping", nonce: 0 }],
  ["pong", { type: "pong", nonce: Number.MAX_SAFE_INTEGER }],
  ["go away", { type: "goAway" }],
  [
    "resume",
    {
      type: "resume",
      entries: [
        { stream: 0, next: 0, consumed: 0, limit: 262_144 },
        { stream: 5, next: 17, consumed: 16, limit: 300_000, reset: "connection" },
      ],
    },
  ],
  ["gate key", { type: "gateKey", key: bytes(32, 200) }],
];

function bytes(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (first + index) & 0xff);
}
