import { describe, expect, test } from "bun:test";
import { AttachedLink } from "../../src/proto/attached-link.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { Link } from "../../src/proto/link.ts";
import type { Stream } from "../../src/proto/stream.ts";
import { TunnelCore } from "../../src/proto/tunnel-core.ts";
import { nextPacket } from "../../src/proto/tunnel-transmit.ts";
import { seededRandom } from "./support/random.ts";
import { ratchetPair } from "./support/ratchets.ts";

const MiB = 1024 * 1024;

/** A server's tunnel with a link, fast unless it is `young`, and streams that have sent and been credited `past` MiB and hold `unsent` bytes. */
function sender(streams: readonly { id: number; past: number; unsent: number }[], young = false) {
  const random = seededRandom("transmit");
  const now = 100;
  const core = new TunnelCore({ role: "server", random, padding: "none" });
  const options = { slot: 0, gen: 1, padding: "none", jitter: 0, now: 0 } as const;
  const attached = new AttachedLink(new Link({ ...options, ratchet: ratchetPair(random).client }), {
    kind: "open",
  });
  core.links.set(0, attached);
  core.streams.peerPoolBytes = LIMITS.poolBytes;
  const { flight } = attached.link;
  if (!young) flight.acked(MiB, flight.sent(MiB, false, 0), 0, now);
  for (const { id, past, unsent } of streams) {
    const stream = core.streams.accept(id);
    if (stream === undefined) throw new Error("a stream twice");
    stream.home = 0;
    core.streams.settle(stream, () => fill(stream, past, unsent));
    core.wake(stream, now);
  }
  return () => nextPacket(core, attached, now);
}

function fill({ id, sending }: Stream, past: number, unsent: number): void {
  sending.open({ type: "proxyResponse", stream: id, result: "connected" });
  sending.headSent();
  for (let count = 0; count < past; count++) {
    sending.write(new Uint8Array(MiB));
    sending.bytesSent(MiB);
    sending.ack(sending.nextUnit);
  }
  sending.credit(past * MiB, (past + 4) * MiB);
  sending.write(new Uint8Array(unsent));
}

describe("a packet", () => {
  test("carries a large chunk in its body, behind what small streams have", () => {
    const packet = sender([
      { id: 0, past: 0, unsent: 100 },
      { id: 1, past: 0, unsent: 60_000 },
    ])();
    expect(packet?.body?.length).toBeWithin(LIMITS.minBodyBytes, 60_001);
    expect(packet?.lead.length).toBeWithin(100, 200);
  });

  test("carries what fits of many small streams, and the rest goes with the next ones", () => {
    const next = sender(Array.from({ length: 40 }, (_, id) => ({ id, past: 0, unsent: 3_000 })));
    const sizes: number[] = [];
    for (let packet = next(); packet !== undefined; packet = next()) sizes.push(packet.lead.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(LIMITS.maxFramesBytes + 57);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeWithin(120_000, 122_000);
    expect(sizes.length).toBeLessThanOrEqual(8);
  });

  // A message arrives as a whole or not at all: 64 KiB would be silence for longer than a slow path's link may live.
  test("is short until the first acknowledgement has come, and 64 KiB go out at once all the same", () => {
    const next = sender([{ id: 0, past: 1, unsent: MiB }], true);
    const sizes: number[] = [];
    for (let packet = next(); packet !== undefined; packet = next()) {
      expect(packet.body).toBeUndefined();
      sizes.push(packet.lead.length);
    }
    expect(Math.max(...sizes)).toBeWithin(4_000, LIMITS.firstPacketBytes + 100);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(LIMITS.initialFlightBytes * 0.95);
  });

  test("of a young link is short, also where many streams share it", () => {
    const many = Array.from({ length: 40 }, (_, id) => ({ id, past: 0, unsent: 300 }));
    const next = sender(many, true);
    for (let packet = next(); packet !== undefined; packet = next()) {
      expect(packet.lead.length).toBeLessThan(LIMITS.firstPacketBytes + 100);
    }
  });

  // A full lead has room for 24 bytes less the header of its last frame: with units above 2^30 on one stream and above
  // 2^14 on the other the frame of a body does not fit.
  test("has room for the frame of its body, however full its lead is", () => {
    const header = (id: number, unit: number) => 1 + (id < 64 ? 1 : 4) + (unit < 64 ? 1 : 8) + 1 + 2;
    const first = 10_240;
    const room = LIMITS.maxFramesBytes - 24 - (header(0, 1) + first);
    const next = sender([
      { id: 0, past: 0, unsent: first },
      { id: 20_000, past: 1_100, unsent: room },
      { id: 20_001, past: 1, unsent: 100_000 },
    ]);
    expect(next()?.lead.length).toBeLessThanOrEqual(LIMITS.maxFramesBytes + 57);
  });
});
