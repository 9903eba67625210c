import { describe, expect, test } from "bun:test";
import { type Frame, LIMITS } from "../../src/proto/index.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { ACCEPT, connectFrame, dataFrame, HELLO, RawPeer } from "./support/raw-peer.ts";

// A peer that does what it must not: each case ends the link, and the tunnel goes on.

const entry = (stream: number, next = 1) => ({ stream, next, consumed: 0, limit: LIMITS.initialWindowBytes });
const DESTINATION = { host: { kind: "name", name: "a.example" }, port: 80 } as const;

/** A server's tunnel with stream 0 connected. */
function server(): RawPeer {
  const peer = RawPeer.ofServer();
  peer.send(connectFrame(0));
  peer.tunnel.respond(0, "connected", peer.now);
  peer.flush();
  return peer;
}

/** A client's tunnel, accepted, with stream 0 open. */
function client(): RawPeer {
  const peer = RawPeer.ofClient();
  peer.send(ACCEPT);
  peer.tunnel.open(DESTINATION, peer.now);
  peer.flush();
  return peer;
}

describe("a server refuses", () => {
  test.each([
    ["unexpectedFrame", "a second Hello", HELLO],
    ["unexpectedFrame", "Accept", ACCEPT],
    ["unexpectedFrame", "Refuse", { type: "refuse", refusal: "revoked" }],
    ["unexpectedFrame", "ProxyResponse", { type: "proxyResponse", stream: 0, result: "connected" }],
    ["unexpectedFrame", "GateKey", { type: "gateKey", key: new Uint8Array(32) }],
    ["unexpectedFrame", "a Resume that was not announced", { type: "resume", entries: [entry(0)] }],
    ["unknownStream", "data of a stream that was never opened", dataFrame(1, 1, 1)],
    [
      "unknownStream",
      "credit of a stream that was never opened",
      { type: "windowUpdate", stream: 9, consumed: 0, limit: 1 },
    ],
    ["unknownStream", "ResetAck of a stream that was never opened", { type: "resetAck", stream: 9 }],
    ["tooManyStreams", "an id with too large a gap before it", connectFrame(1 + LIMITS.maxSeenGap + 1)],
    [
      "tooManyStreams",
      "a Reset with too large a gap before it",
      { type: "reset", stream: 2 ** 40, code: "lost" },
    ],
    ["unitGap", "data above the expected unit", dataFrame(0, 2, 1)],
    ["badAck", "an acknowledgement of packets it never sent", { type: "packetAck", count: 99, delayUs: 0 }],
    [
      "badAck",
      "consumption of bytes it never sent",
      { type: "windowUpdate", stream: 0, consumed: 1, limit: 9 },
    ],
  ] as [string, string, Frame][])("%s: %s", (error, _, frame) => {
    expect<string>(server().refusal(frame)).toBe(error);
  });

  test("data behind FIN", () => {
    const peer = server();
    peer.send(dataFrame(0, 1, 10, true));
    expect(peer.refusal(dataFrame(0, 11, 1))).toBe("dataAfterFin");
  });

  test("an acknowledgement that goes down", () => {
    const peer = server();
    peer.send({ type: "packetAck", count: 2, delayUs: 0 });
    expect(peer.refusal({ type: "packetAck", count: 1, delayUs: 0 })).toBe("badAck");
  });

  test("more streams at once than it takes", () => {
    const peer = RawPeer.ofServer();
    for (let stream = 0; stream < LIMITS.maxEntries; stream += 512) {
      peer.send(...Array.from({ length: 512 }, (_, index) => connectFrame(stream + index)));
    }
    // Only so many run; the others were refused, and a peer that does not hear that is one too many.
    expect(peer.events.filter(({ kind }) => kind === "connect")).toHaveLength(LIMITS.maxStreams);
    const refused = peer.sent("proxyResponse").filter(({ result }) => result === "overloaded");
    expect(refused).toHaveLength(LIMITS.maxEntries - LIMITS.maxStreams);
    expect(peer.refusal(connectFrame(LIMITS.maxEntries))).toBe("tooManyStreams");
  });

  test.each([
    ["malformed", "a stream twice", 2, [entry(0), entry(0)]],
    ["malformed", "more entries than announced", 1, [entry(0), entry(1)]],
  ] as const)("%s: a resume list with %s", (error, _, entries, list) => {
    const rest: Frame[] = [{ type: "resume", entries: list }];
    expect<string>(protocolErrorOf(() => RawPeer.ofServer({ hello: { entries, base: 5 }, rest }))).toBe(
      error,
    );
  });

  test("tooManyStreams: a resume list longer than streams can be", () => {
    const hello = { entries: LIMITS.maxEntries + 1 };
    expect(protocolErrorOf(() => RawPeer.ofServer({ hello }))).toBe("tooManyStreams");
  });

  test("unexpectedFrame: stream frames before the list is complete", () => {
    const peer = RawPeer.ofServer({ hello: { entries: 2, base: 2 } });
    peer.send({ type: "resume", entries: [entry(0)] });
    expect(peer.refusal(connectFrame(2))).toBe("unexpectedFrame");
  });
});

describe("a client refuses", () => {
  test.each([
    ["unexpectedFrame", "Hello", HELLO],
    ["unexpectedFrame", "a second Accept", ACCEPT],
    ["unexpectedFrame", "ProxyConnect", connectFrame(0)],
    [
      "unknownStream",
      "the answer to a stream it never opened",
      { type: "proxyResponse", stream: 1, result: "connected" },
    ],
    ["unknownStream", "a Reset of a stream it never opened", { type: "reset", stream: 1, code: "lost" }],
    ["unitGap", "data before the answer", dataFrame(0, 1, 1)],
    ["badAck", "an acknowledgement of packets it never sent", { type: "packetAck", count: 99, delayUs: 0 }],
  ] as [string, string, Frame][])("%s: %s", (error, _, frame) => {
    expect<string>(client().refusal(frame)).toBe(error);
  });

  test("stream frames before Accept", () => {
    const peer = RawPeer.ofClient((tunnel) => tunnel.open(DESTINATION, 0));
    expect(peer.refusal({ type: "proxyResponse", stream: 0, result: "connected" })).toBe("unexpectedFrame");
    const other = RawPeer.ofClient();
    expect(other.refusal({ type: "resume", entries: [entry(0)] })).toBe("unexpectedFrame");
  });

  test("resume entries of a tunnel that is new", () => {
    expect(RawPeer.ofClient().refusal({ ...ACCEPT, entries: 1 })).toBe("malformed");
  });

  test.each([
    ["as open", entry(1)],
    ["as reset", { ...entry(1), reset: "lost" }],
  ] as const)("a stream it never opened, listed %s", (_, listed) => {
    const peer = RawPeer.ofClient((tunnel) => tunnel.open(DESTINATION, 0));
    peer.send({ ...ACCEPT, result: "resumed", entries: 1 });
    expect(peer.refusal({ type: "resume", entries: [listed] })).toBe("unknownStream");
  });

  test("a list longer than streams can be", () => {
    const accept: Frame = { ...ACCEPT, result: "resumed", entries: LIMITS.maxEntries + 1 };
    expect(RawPeer.ofClient().refusal(accept)).toBe("tooManyStreams");
  });
});

describe("what is allowed", () => {
  test("Refuse instead of Accept, which the shell is told of", () => {
    const peer = RawPeer.ofClient();
    peer.send({ type: "refuse", refusal: "revoked" });
    expect(peer.events).toEqual([{ kind: "refused", slot: 0, refusal: "revoked" }]);
  });

  test("an acknowledgement in front of Accept", () => {
    const peer = RawPeer.ofClient();
    peer.send({ type: "packetAck", count: 1, delayUs: 10 }, ACCEPT);
    expect(peer.events).toEqual([{ kind: "accepted", slot: 0, result: "created" }]);
  });

  test("a ping is answered by a pong with its nonce, and a pong by nothing", () => {
    const peer = server();
    peer.send({ type: "ping", nonce: 2 ** 40 }, { type: "pong", nonce: 5 });
    expect(peer.sent("pong")).toEqual([{ type: "pong", nonce: 2 ** 40 }]);
  });

  test("pings without end, of which few are answered while nothing can be sent", () => {
    const peer = RawPeer.ofServer();
    const before = peer.sent("pong").length;
    const pings = Array.from({ length: 8_192 }, (_, nonce) => ({ type: "ping", nonce: nonce % 64 }) as const);
    peer.deaf = true;
    for (let round = 0; round < 20; round++) expect(peer.refusal(...pings)).toBe("none");
    peer.deaf = false;
    peer.flush();
    expect(peer.sent("pong").length - before).toBeWithin(1, 21);
  });

  test("frames of a finished stream, which change nothing", () => {
    const peer = server();
    peer.send({ type: "reset", stream: 0, code: "closed" });
    const before = peer.events.length;
    peer.send(
      dataFrame(0, 500, 10),
      { type: "windowUpdate", stream: 0, consumed: 99, limit: 100 },
      { type: "resetAck", stream: 0 },
      connectFrame(0),
    );
    expect(peer.events.length).toBe(before);
    expect(peer.tunnel.stats()).toMatchObject({ streams: 0, ourPoolUsed: 0, peerPoolUsed: 0 });
  });

  test("a Reset twice, each acknowledged", () => {
    const peer = server();
    peer.send({ type: "reset", stream: 0, code: "closed" });
    peer.send({ type: "reset", stream: 0, code: "closed" });
    expect(peer.sent("resetAck")).toHaveLength(2);
    expect(peer.events.filter(({ kind }) => kind === "reset")).toHaveLength(1);
  });

  test("a Reset of a stream whose connect never comes: the id is used up", () => {
    const peer = RawPeer.ofServer();
    peer.send({ type: "reset", stream: 0, code: "cancelled" });
    peer.send(connectFrame(0), connectFrame(1));
    expect(peer.sent("resetAck")).toEqual([{ type: "resetAck", stream: 0 }]);
    expect(peer.events.map((event) => event.kind === "connect" && event.stream)).toEqual([1]);
  });

  test("ids out of order, as several links bring them", () => {
    const peer = RawPeer.ofServer();
    peer.send(connectFrame(5), connectFrame(2), connectFrame(LIMITS.maxSeenGap), connectFrame(0));
    expect(peer.tunnel.stats().streams).toBe(4);
  });

  test("credit that is older than what was told before", () => {
    const peer = server();
    peer.tunnel.write(0, new Uint8Array(100), 0);
    peer.flush();
    peer.send({ type: "windowUpdate", stream: 0, consumed: 100, limit: 500_000 });
    expect(peer.refusal({ type: "windowUpdate", stream: 0, consumed: 5, limit: 10 })).toBe("none");
  });
});

describe("what a tunnel says", () => {
  test("an acknowledgement within 10 ms, naming every packet", () => {
    const peer = server();
    peer.wait(20);
    const before = peer.sent("packetAck").length;
    peer.send(dataFrame(0, 1, 10));
    expect(peer.sent("packetAck")).toHaveLength(before);
    peer.wait(LIMITS.ackDelayMs);
    // Packet 0, ProxyConnect and data.
    expect(peer.sent("packetAck").at(-1)).toEqual({ type: "packetAck", count: 3, delayUs: 10_000 });
  });

  test("Accept in its first packet, behind the acknowledgement of packet 0", () => {
    const peer = RawPeer.ofServer();
    expect(peer.frames.slice(0, 2).map(({ type }) => type)).toEqual(["packetAck", "accept"]);
  });

  test("what the application has taken, once all of 8 KiB is", () => {
    const peer = server();
    peer.send(dataFrame(0, 1, LIMITS.exemptBytes));
    peer.tunnel.consumed(0, LIMITS.exemptBytes, peer.now);
    peer.wait(LIMITS.ackDelayMs);
    const limit = LIMITS.exemptBytes + LIMITS.initialWindowBytes;
    expect(peer.sent("windowUpdate")).toEqual([
      { type: "windowUpdate", stream: 0, consumed: LIMITS.exemptBytes, limit },
    ]);
  });
});
