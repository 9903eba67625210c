import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { LIMITS, tunnelMemoryBound } from "../../src/proto/limits.ts";
import { connectFrame, dataFrame, RawPeer } from "./support/raw-peer.ts";
import { keepWriting, Tunnels } from "./support/tunnels.ts";

setDefaultTimeout(60_000);

const MiB = 1024 * 1024;
const { exemptBytes: EXEMPT, initialWindowBytes: WINDOW } = LIMITS;

describe("a stream's credit", () => {
  test("lets the peer send 256 KiB to an application that takes nothing, and no more", () => {
    const tunnels = Tunnels.connected({ delayMs: 5 });
    const [stream = 0] = tunnels.openConnected(1);
    tunnels.client.slow.add(stream);
    keepWriting(tunnels.server, stream, tunnels);
    tunnels.run(2_000);
    expect(tunnels.client.count(stream)).toBe(WINDOW);
    tunnels.client.take(stream, tunnels.now, WINDOW / 4);
    tunnels.run(200);
    expect(tunnels.client.count(stream)).toBe(WINDOW + WINDOW / 4);
  });

  test("grows with an application that takes quickly, so that a long path is filled", () => {
    // 1 Gbit/s at 100 ms hold 12.5 MB; a window of 256 KiB would carry 2.6 MB/s.
    const tunnels = Tunnels.connected({ delayMs: 50, rate: 125_000 });
    const [stream = 0] = tunnels.openConnected(1);
    keepWriting(tunnels.server, stream, tunnels);
    tunnels.run(3_000);
    const before = tunnels.client.count(stream);
    tunnels.run(1_000);
    expect((tunnels.client.count(stream) - before) / 125_000_000).toBeGreaterThan(0.9);
  });

  test("is enforced: a peer that overruns it is cut off", () => {
    const peer = RawPeer.ofServer();
    peer.send(connectFrame(0));
    for (let sent = 0; sent < WINDOW; sent += 16_000) {
      const length = Math.min(16_000, WINDOW - sent);
      peer.send(dataFrame(0, 1 + sent, length));
    }
    expect(peer.refusal(dataFrame(0, 1 + WINDOW, 0, true))).toBe("none");
    const other = RawPeer.ofServer();
    other.send(connectFrame(0));
    for (let sent = 0; sent < WINDOW; sent += 16_384) other.sendBody(dataFrame(0, 1 + sent, 16_384));
    expect(other.refusal(dataFrame(0, 1 + WINDOW, 1))).toBe("streamCredit");
  });
});

describe("the tunnel's pool", () => {
  test("is enforced: a peer that overruns it with streams within their own credit is cut off", () => {
    const poolBytes = 1 * MiB;
    const peer = RawPeer.ofServer({ poolBytes });
    const fill = (stream: number, bytes: number) => {
      peer.send(connectFrame(stream));
      for (let sent = 0; sent < bytes; sent += 16_384) peer.sendBody(dataFrame(stream, 1 + sent, 16_384));
    };
    // Four streams of 256 KiB, each with 8 KiB exempt, leave 32 KiB of a pool of 1 MiB.
    for (let stream = 0; stream < 4; stream++) fill(stream, WINDOW);
    expect(peer.tunnel.stats().ourPoolUsed).toBe(poolBytes - 4 * EXEMPT);
    fill(4, 2 * 16_384);
    expect(peer.tunnel.stats().ourPoolUsed).toBe(poolBytes - 4 * EXEMPT + 2 * 16_384 - EXEMPT);
    expect(peer.refusal(dataFrame(4, 1 + 2 * 16_384, EXEMPT + 1))).toBe("tunnelCredit");
  });

  test("does not count the first 8 KiB of a stream, however many streams there are", () => {
    const peer = RawPeer.ofServer({ poolBytes: 64 * 1024 });
    for (let stream = 0; stream < 100; stream++)
      peer.send(connectFrame(stream), dataFrame(stream, 1, EXEMPT));
    expect(peer.tunnel.stats().ourPoolUsed).toBe(0);
  });

  test("is the peer's word: a sender never goes above what Hello or Accept said", () => {
    const clientPoolBytes = 300_000;
    const tunnels = Tunnels.connected({ delayMs: 5, clientPoolBytes });
    const streams = tunnels.openConnected(20);
    for (const stream of streams) {
      tunnels.client.slow.add(stream);
      keepWriting(tunnels.server, stream, tunnels);
    }
    let highest = 0;
    tunnels.client.onEvent = () => {
      highest = Math.max(highest, tunnels.client.tunnel.stats().ourPoolUsed);
    };
    tunnels.run(3_000);
    expect(highest).toBeWithin(clientPoolBytes / 2, clientPoolBytes + 1);
    tunnels.server.tunnel.check();
  });

  test("of 0 lets every stream move by its exemption", () => {
    const peer = RawPeer.ofServer({ hello: { poolBytes: 0 } });
    peer.send(connectFrame(0));
    peer.tunnel.respond(0, "connected", 0);
    peer.tunnel.write(0, new Uint8Array(50_000), 0);
    const arrived = () => peer.sent("proxyData").reduce((sum, { bytes }) => sum + bytes.length, 0);
    for (let taken = EXEMPT; taken < 50_000; taken += EXEMPT) {
      peer.flush();
      expect(arrived()).toBe(taken);
      peer.send({ type: "windowUpdate", stream: 0, consumed: taken, limit: taken + WINDOW });
    }
    peer.flush();
    expect(arrived()).toBe(50_000);
  });
});

describe("what others hold does not stop a stream that moves", () => {
  test("four paused downloads do not stop the tunnel", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, rate: 50_000 });
    const [moving = 0, ...paused] = tunnels.openConnected(5);
    for (const stream of paused) keepWriting(tunnels.server, stream, tunnels);
    // They run for a while, so that their windows grow, and then nobody reads any more.
    tunnels.run(1_000);
    for (const stream of paused) tunnels.client.slow.add(stream);
    tunnels.run(3_000);
    const held = paused.map((stream) => tunnels.client.untaken(stream));
    expect(Math.min(...held)).toBeGreaterThan(WINDOW);
    keepWriting(tunnels.server, moving, tunnels);
    tunnels.run(500);
    const before = tunnels.client.count(moving);
    tunnels.run(1_000);
    // The path carries 50 MB/s, and what is left of the pool is more than it holds.
    expect((tunnels.client.count(moving) - before) / 50_000_000).toBeGreaterThan(0.9);
    tunnels.server.tunnel.check();
  });

  test("a thousand stalled streams do not stop the one that moves", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, rate: 50_000, clientPoolBytes: 4 * MiB });
    const [moving = 0, ...stalled] = tunnels.openConnected(1_001);
    for (const stream of stalled) {
      tunnels.client.slow.add(stream);
      tunnels.server.tunnel.write(stream, new Uint8Array(64 * 1024), tunnels.now);
    }
    tunnels.run(2_000);
    // Each of them has at least its exemption.
    expect(Math.min(...stalled.map((stream) => tunnels.client.untaken(stream)))).toBeGreaterThanOrEqual(
      EXEMPT,
    );
    tunnels.server.tunnel.write(moving, new Uint8Array(1 * MiB), tunnels.now);
    expect(tunnels.runUntil(() => tunnels.client.count(moving) === 1 * MiB, 20_000)).toBe(true);
    tunnels.server.tunnel.check();
    tunnels.client.tunnel.check();
  });

  test("stalled streams go on once they are read, to the last byte", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, clientPoolBytes: 1 * MiB });
    const streams = tunnels.openConnected(60);
    for (const stream of streams) {
      tunnels.client.slow.add(stream);
      tunnels.server.tunnel.write(stream, new Uint8Array(100_000), tunnels.now);
      tunnels.server.tunnel.finish(stream, tunnels.now);
    }
    tunnels.run(1_000);
    for (const stream of streams) {
      tunnels.client.slow.delete(stream);
      tunnels.client.take(stream, tunnels.now);
    }
    tunnels.run(2_000);
    expect(streams.filter((stream) => tunnels.client.count(stream) !== 100_000)).toEqual([]);
    expect(tunnels.client.told("fin")).toHaveLength(60);
  });

  test("writers that fill the send pool pause, and others may still read once", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, rate: 1_000, sendPoolBytes: 4 * MiB });
    const [quiet = 0, ...busy] = tunnels.openConnected(9);
    for (const stream of busy) {
      tunnels.client.slow.add(stream);
      keepWriting(tunnels.server, stream, tunnels);
    }
    expect(tunnels.server.tunnel.stats().heldBytes).toBeLessThan(4 * MiB + 9 * 2 * LIMITS.maxChunkBytes);
    tunnels.run(1);
    const told = tunnels.server.told("writable", quiet).length;
    expect(tunnels.server.tunnel.write(quiet, new Uint8Array(100), tunnels.now)).toBe(false);
    tunnels.runUntil(() => tunnels.client.count(quiet) === 100, 5_000);
    tunnels.run(100);
    expect(tunnels.server.told("writable", quiet)).toHaveLength(told + 1);
  });

  test("a full send pool stops all who write, and each may go on with its share", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, sendPoolBytes: 4 * MiB });
    const [idle = 0, ...busy] = tunnels.openConnected(33);
    for (const stream of busy) {
      tunnels.client.slow.add(stream);
      keepWriting(tunnels.server, stream, tunnels);
    }
    tunnels.run(1);
    expect(tunnels.server.told("full", idle)).toHaveLength(1);
    expect(tunnels.server.told("writable", idle)).toEqual([
      { kind: "writable", stream: idle, most: Math.floor((4 * MiB) / 33) },
    ]);
  });

  for (const goesOn of ["it could itself", "others have left the peer's pool"]) {
    test(`a writer that could send nothing is not told to go on beyond the pool until ${goesOn}`, () => {
      const tunnels = Tunnels.connected({ delayMs: 5, sendPoolBytes: 4 * MiB, clientPoolBytes: 1 * MiB });
      const [still = 0, ...busy] = tunnels.openConnected(40);
      for (const stream of [still, ...busy]) tunnels.client.slow.add(stream);
      for (const stream of busy) keepWriting(tunnels.server, stream, tunnels);
      tunnels.run(1_000);
      const told = tunnels.server.told("writable", still).length;
      expect(tunnels.server.tunnel.write(still, new Uint8Array(EXEMPT), tunnels.now)).toBe(false);
      tunnels.run(1_000);
      // It holds nothing, and all that it has sent is untaken.
      expect(tunnels.client.untaken(still)).toBe(EXEMPT);
      expect(tunnels.server.told("writable", still)).toHaveLength(told);
      for (const stream of goesOn === "it could itself" ? [still] : busy)
        tunnels.client.take(stream, tunnels.now, tunnels.client.untaken(stream));
      tunnels.run(200);
      expect(tunnels.server.told("writable", still).length).toBeGreaterThan(told);
    });
  }
});

describe("memory", () => {
  test("of a tunnel has a bound, and a tunnel full of stalled streams keeps to it at both ends", () => {
    const clientPoolBytes = 2 * MiB;
    const sendPoolBytes = 4 * MiB;
    const tunnels = Tunnels.connected({ delayMs: 5, clientPoolBytes, sendPoolBytes });
    const streams = tunnels.openConnected(100);
    let received = 0;
    for (const stream of streams) {
      tunnels.client.slow.add(stream);
      keepWriting(tunnels.server, stream, tunnels, LIMITS.firstReadBytes);
    }
    tunnels.run(3_000);
    for (const stream of streams) received += tunnels.client.untaken(stream);
    const { heldBytes } = tunnels.server.tunnel.stats();
    expect(received).toBeLessThanOrEqual(clientPoolBytes + streams.length * EXEMPT);
    expect(received + heldBytes).toBeLessThanOrEqual(
      tunnelMemoryBound(streams.length, clientPoolBytes, sendPoolBytes),
    );
  });
});
