import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { DialResult } from "../../src/proto/destination.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { toHex } from "./support/bytes.ts";
import { below, seededRandom } from "./support/random.ts";
import { keepWriting, type TestEnd, Tunnels } from "./support/tunnels.ts";

setDefaultTimeout(60_000);

const PATH = { delayMs: 20 };
const DESTINATION = { host: { kind: "ipv4", address: Uint8Array.of(192, 0, 2, 1) }, port: 443 } as const;

function write(end: TestEnd, stream: number, bytes: Uint8Array, tunnels: Tunnels): void {
  end.tunnel.write(stream, bytes.slice(), tunnels.now);
}

/** Nothing is kept of any stream, at either end. */
function expectNothingLeft(tunnels: Tunnels): void {
  tunnels.settle();
  for (const { tunnel } of [tunnels.client, tunnels.server]) {
    tunnel.check();
    expect(tunnel.stats()).toMatchObject({ streams: 0, heldBytes: 0, ourPoolUsed: 0, peerPoolUsed: 0 });
  }
}

describe("opening a stream", () => {
  test("tells the server where to, and the client that it stands, one round trip later", () => {
    const tunnels = Tunnels.connected(PATH);
    const begunAt = tunnels.now;
    const stream = tunnels.open(DESTINATION);
    tunnels.runUntil(() => tunnels.server.told("connect").length > 0, 1_000);
    expect(tunnels.now - begunAt).toBe(20);
    expect(tunnels.server.told("connect")).toEqual([{ kind: "connect", stream, destination: DESTINATION }]);
    tunnels.server.tunnel.respond(stream, "connected", tunnels.now);
    tunnels.runUntil(() => tunnels.client.told("response").length > 0, 1_000);
    expect(tunnels.now - begunAt).toBe(40);
    expect(tunnels.client.told("response")).toEqual([{ kind: "response", stream, result: "connected" }]);
  });

  test("before the first link is up costs no extra round trip: it travels behind Hello", () => {
    const tunnels = new Tunnels(PATH);
    const stream = tunnels.open(DESTINATION);
    write(tunnels.client, stream, new Uint8Array(500), tunnels);
    tunnels.connect();
    tunnels.runUntil(() => tunnels.server.count(stream) === 500, 1_000);
    expect([tunnels.now, tunnels.server.told("connect").length]).toEqual([20, 1]);
  });

  test("sends at most 64 KiB and 16 connects before Accept, and the rest after it", () => {
    const tunnels = new Tunnels(PATH);
    const streams = Array.from({ length: 20 }, () => tunnels.open());
    for (const stream of streams) write(tunnels.client, stream, new Uint8Array(20_000), tunnels);
    tunnels.connect();
    tunnels.run(21);
    const sum = () => streams.reduce((total, stream) => total + tunnels.server.count(stream), 0);
    expect(tunnels.server.told("connect")).toHaveLength(LIMITS.maxEarlyStreams);
    expect(sum()).toBeWithin(LIMITS.maxEarlyBytes / 2, LIMITS.maxEarlyBytes + 1);
    tunnels.run(200);
    expect([tunnels.server.told("connect").length, sum()]).toEqual([20, 20 * 20_000]);
  });

  test.each([
    "policy",
    "netUnreachable",
    "hostUnreachable",
    "refused",
    "timeout",
    "nameNotFound",
  ] as DialResult[])("that the server cannot connect: %s, and nothing is left of it", (result) => {
    const tunnels = Tunnels.connected(PATH);
    const stream = tunnels.open();
    write(tunnels.client, stream, new Uint8Array(50_000), tunnels);
    tunnels.settle();
    tunnels.server.tunnel.respond(stream, result, tunnels.now);
    tunnels.settle();
    expect(tunnels.client.told("response")).toEqual([{ kind: "response", stream, result }]);
    expect([tunnels.client.told("reset"), tunnels.client.told("fin")]).toEqual([[], []]);
    expectNothingLeft(tunnels);
  });

  test("is refused at home when the server takes no more", () => {
    const tunnels = Tunnels.connected();
    for (let count = 0; count < LIMITS.maxStreams; count++) tunnels.open();
    expect(tunnels.client.tunnel.open(DESTINATION, tunnels.now)).toBeUndefined();
    tunnels.settle();
    expect(tunnels.server.told("connect")).toHaveLength(LIMITS.maxStreams);
  });
});

// The client has forgotten these streams; the server has not, because its applications have not taken the last byte. The
// client's count says that there is room, the server's that there is none.
test("streams that only the server still holds cost a new stream, not the link", () => {
  const tunnels = Tunnels.connected();
  const streams = tunnels.openConnected(LIMITS.maxStreams);
  for (const stream of streams) {
    tunnels.server.slow.add(stream);
    write(tunnels.client, stream, new Uint8Array(1), tunnels);
    tunnels.client.tunnel.finish(stream, tunnels.now);
  }
  tunnels.run(500);
  for (const stream of streams) tunnels.server.tunnel.finish(stream, tunnels.now);
  tunnels.run(500);
  tunnels.open();
  tunnels.run(100);
});

describe("bytes", () => {
  test("arrive exactly and in order, in both directions at once, whatever the chunks", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, rate: 20_000, padding: "padme" });
    const random = seededRandom("bytes");
    const [stream = 0] = tunnels.openConnected(1);
    const given = { client: [] as Uint8Array[], server: [] as Uint8Array[] };
    for (let round = 0; round < 60; round++) {
      for (const side of ["client", "server"] as const) {
        const chunk = random(1 + below(random, round % 7 === 0 ? 600_000 : 3_000));
        given[side].push(chunk);
        write(tunnels[side], stream, chunk, tunnels);
      }
      tunnels.run(below(random, 30));
    }
    tunnels.run(5_000);
    const hash = (bytes: Uint8Array) => toHex(Bun.SHA256.hash(bytes) as Uint8Array); // Typed for every encoding.
    expect(hash(tunnels.server.bytes(stream))).toBe(hash(Buffer.concat(given.client)));
    expect(hash(tunnels.client.bytes(stream))).toBe(hash(Buffer.concat(given.server)));
    tunnels.client.tunnel.check();
    tunnels.server.tunnel.check();
  });

  test("that are queued without end make the writer pause, and go on when some have left", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, rate: 1_000 });
    const [stream = 0] = tunnels.openConnected(1);
    const chunkBytes = 256 * 1024;
    let queued = 0;
    for (let more = true; more; queued += chunkBytes)
      more = tunnels.client.tunnel.write(stream, new Uint8Array(chunkBytes), tunnels.now);
    expect(queued).toBeWithin(LIMITS.streamHighWaterBytes, LIMITS.streamHighWaterBytes + 2 * chunkBytes);
    expect(tunnels.client.told("writable", stream)).toEqual([]);
    tunnels.run(1_500);
    expect(tunnels.client.told("writable", stream)).toHaveLength(1);
  });
});

describe("half-close", () => {
  test("of the client leaves the server's direction open, and the other way round", () => {
    for (const [first, second] of [
      ["client", "server"],
      ["server", "client"],
    ] as const) {
      const tunnels = Tunnels.connected(PATH);
      const [stream = 0] = tunnels.openConnected(1);
      write(tunnels[first], stream, new Uint8Array(10), tunnels);
      tunnels[first].tunnel.finish(stream, tunnels.now);
      tunnels.settle();
      expect([tunnels[second].count(stream), tunnels[second].told("fin", stream).length]).toEqual([10, 1]);
      write(tunnels[second], stream, new Uint8Array(300_000), tunnels);
      tunnels.settle();
      tunnels.settle();
      expect(tunnels[first].count(stream)).toBe(300_000);
      tunnels[second].tunnel.finish(stream, tunnels.now);
      tunnels.settle();
      expect(tunnels[first].told("fin", stream)).toHaveLength(1);
      expect([...tunnels.client.told("reset"), ...tunnels.server.told("reset")]).toEqual([]);
      expectNothingLeft(tunnels);
    }
  });

  test("comes after the last byte, never before", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, rate: 5_000 });
    const [stream = 0] = tunnels.openConnected(1);
    const total = 3_000_000;
    tunnels.client.onEvent = (event) => {
      if (event.kind === "fin") expect(tunnels.client.count(stream)).toBe(total);
    };
    write(tunnels.server, stream, new Uint8Array(total), tunnels);
    tunnels.server.tunnel.finish(stream, tunnels.now);
    expect(tunnels.runUntil(() => tunnels.client.told("fin", stream).length === 1, 5_000)).toBe(true);
  });

  test("right behind the connect needs no byte", () => {
    const tunnels = Tunnels.connected(PATH);
    const stream = tunnels.open();
    tunnels.client.tunnel.finish(stream, tunnels.now);
    tunnels.client.tunnel.finish(stream, tunnels.now);
    tunnels.settle();
    expect(tunnels.server.told("fin", stream)).toHaveLength(1);
  });
});

describe("reset", () => {
  test.each(["client", "server"] as const)(
    "by the %s breaks the other end with its code, and leaves nothing",
    (side) => {
      const tunnels = Tunnels.connected(PATH);
      const [stream = 0] = tunnels.openConnected(1);
      const other = tunnels[side === "client" ? "server" : "client"];
      write(tunnels.client, stream, new Uint8Array(100_000), tunnels);
      write(tunnels.server, stream, new Uint8Array(100_000), tunnels);
      tunnels[side].tunnel.reset(stream, "idle");
      tunnels.settle();
      expect(other.resetCode(stream)).toBe("idle");
      expect([tunnels[side].told("reset"), other.told("fin")]).toEqual([[], []]);
      expectNothingLeft(tunnels);
    },
  );

  test("by both ends at once leaves nothing either", () => {
    const tunnels = Tunnels.connected(PATH);
    const [stream = 0] = tunnels.openConnected(1);
    tunnels.client.tunnel.reset(stream, "connection");
    tunnels.server.tunnel.reset(stream, "closed");
    expectNothingLeft(tunnels);
    expect([tunnels.client.told("reset"), tunnels.server.told("reset")]).toEqual([[], []]);
  });

  test("overtakes bytes that wait for credit", () => {
    const tunnels = Tunnels.connected(PATH);
    const [stream = 0] = tunnels.openConnected(1);
    tunnels.server.slow.add(stream);
    keepWriting(tunnels.client, stream, tunnels);
    tunnels.run(500);
    tunnels.client.tunnel.reset(stream, "connection");
    tunnels.settle();
    expect(tunnels.server.resetCode(stream)).toBe("connection");
    expectNothingLeft(tunnels);
  });

  test("of a stream that never left costs the server nothing", () => {
    const tunnels = new Tunnels(PATH);
    const stream = tunnels.open();
    tunnels.client.tunnel.reset(stream, "cancelled");
    tunnels.connect();
    tunnels.settle();
    expect(tunnels.server.told("connect")).toEqual([]);
    expectNothingLeft(tunnels);
  });

  test("while the far connection is being made reaches the dialer", () => {
    const tunnels = Tunnels.connected(PATH);
    const stream = tunnels.open();
    tunnels.settle();
    tunnels.client.tunnel.reset(stream, "cancelled");
    tunnels.settle();
    expect(tunnels.server.resetCode(stream)).toBe("cancelled");
    // The dialer had been about to say so.
    tunnels.server.tunnel.respond(stream, "connected", tunnels.now);
    expectNothingLeft(tunnels);
  });
});

describe("a lost link", () => {
  test("costs no byte and no connection", () => {
    const tunnels = Tunnels.connected({ delayMs: 5, rate: 5_000 });
    const [up = 0, down = 0] = tunnels.openConnected(2);
    write(tunnels.client, up, seededRandom("up")(2_000_000), tunnels);
    write(tunnels.server, down, seededRandom("down")(2_000_000), tunnels);
    tunnels.client.tunnel.finish(up, tunnels.now);
    tunnels.server.tunnel.finish(down, tunnels.now);
    for (let cuts = 0; cuts < 6; cuts++) {
      tunnels.run(70);
      const [line] = tunnels.lines;
      if (line !== undefined) tunnels.cut(line);
      tunnels.run(50);
      tunnels.connect();
    }
    tunnels.run(3_000);
    expect(toHex(tunnels.server.bytes(up))).toBe(toHex(seededRandom("up")(2_000_000)));
    expect(toHex(tunnels.client.bytes(down))).toBe(toHex(seededRandom("down")(2_000_000)));
    expect([...tunnels.client.told("reset"), ...tunnels.server.told("reset")]).toEqual([]);
    tunnels.client.tunnel.check();
    tunnels.server.tunnel.check();
  });

  test("is noticed by silence: suspect after 3 s and dead after 9 s where data waits", () => {
    const tunnels = Tunnels.connected(PATH);
    const [stream = 0] = tunnels.openConnected(1);
    for (const line of tunnels.lines) line.stalled = true;
    const stalledAt = tunnels.now;
    write(tunnels.client, stream, new Uint8Array(10), tunnels);
    tunnels.runUntil(() => tunnels.client.told("suspect").length > 0, 20_000);
    expect(tunnels.now - stalledAt).toBeWithin(3_000, 3_050);
    tunnels.runUntil(() => tunnels.client.told("dead").length > 0, 20_000);
    expect(tunnels.now - stalledAt).toBeWithin(9_000, 9_050);
  });

  test("that is idle stays up by pings alone, and sends little", () => {
    const tunnels = Tunnels.connected(PATH);
    const before = tunnels.sent.client.messages + tunnels.sent.server.messages;
    tunnels.run(10 * 60_000);
    const messages = tunnels.sent.client.messages + tunnels.sent.server.messages - before;
    expect(messages).toBeWithin(2 * 28, 4 * 32);
    expect([...tunnels.client.told("dead"), ...tunnels.client.told("suspect")]).toEqual([]);
  });
});

describe("news of the server", () => {
  test("a gate key and GoAway reach the client", () => {
    const tunnels = Tunnels.connected(PATH);
    const key = seededRandom("gate key")(32);
    tunnels.server.tunnel.sendGateKey(key);
    tunnels.server.tunnel.goAway();
    tunnels.settle();
    expect(tunnels.client.told("gateKey")).toEqual([{ kind: "gateKey", key }]);
    expect(tunnels.client.told("goAway")).toEqual([{ kind: "goAway", slot: 0 }]);
  });
});
