import { describe, expect, test } from "bun:test";
import { LIMITS, type TunnelEvent } from "../../src/proto/index.ts";
import { TunnelPair } from "../support/tunnel-pair.ts";

// PROTOCOL.md section 8, "A server that has restarted". `asked` is the link on which the client asks for a tunnel anew,
// under a secret of its own, because the bundle names another process than before.

const kinds = (events: readonly TunnelEvent[]) => events.map(({ kind }) => kind);

/** A tunnel with a stream that has run at a server, and the secret for another one. */
function running() {
  const pair = new TunnelPair();
  const old = pair.connect("created");
  const stream = pair.openStream();
  return { pair, old, stream, secret: pair.dice.random(32) };
}

/** The server's process is another one, which has no tunnel. */
function restart(pair: TunnelPair): void {
  pair.server = new TunnelPair().server;
}

describe("before the other process accepts", () => {
  test("what runs goes on over the older link, and over a new one to the old process", () => {
    const { pair, old, stream, secret } = running();
    const asked = pair.offer("created", 0, secret);
    pair.client.write(stream, Uint8Array.of(1, 2, 3), pair.now);
    pair.flush();
    pair.deliverUp(old);
    expect(pair.received(pair.serverEvents, stream)).toBe(3);
    pair.cut(asked);
    pair.cut(old);
    pair.connect();
    pair.client.write(stream, Uint8Array.of(4, 5), pair.now);
    pair.run();
    expect(pair.received(pair.serverEvents, stream)).toBe(5);
    expect(kinds(pair.clientEvents)).not.toContain("reset");
  });

  test("nothing of any stream is said to it, be it older or new", () => {
    const { pair, old, secret } = running();
    pair.cut(old);
    const asked = pair.offer("created", 0, secret);
    const fresh = pair.open();
    pair.client.write(fresh, new Uint8Array(5_000), pair.now);
    pair.flush();
    restart(pair);
    // Hello alone: what follows it on this link would be in further messages.
    expect(asked.up).toHaveLength(1);
    pair.deliverUp(asked);
    expect(kinds(pair.serverEvents).filter((kind) => kind === "connect")).toHaveLength(1);
  });

  test("its link can be lost, and so can its Accept: nothing of it remains", () => {
    const { pair, old, stream, secret } = running();
    const { server } = pair;
    restart(pair);
    const asked = pair.offer("created", 0, secret);
    pair.deliverUp(asked);
    pair.cut(asked);
    pair.server = server;
    pair.cut(old);
    pair.connect();
    pair.client.write(stream, Uint8Array.of(1), pair.now);
    pair.run();
    expect(pair.received(pair.serverEvents, stream)).toBe(1);
    expect(kinds(pair.clientEvents)).not.toContain("reset");
  });
});

describe("once it has accepted", () => {
  test.each(["created", "resumed", "dropped"] as const)(
    "with `%s`, what was started is lost, and what never left goes on",
    (result) => {
      const { pair, old, stream, secret } = running();
      pair.cut(old);
      const waiting = pair.open();
      restart(pair);
      pair.connect(result, 0, secret);
      expect(pair.clientEvents).toContainEqual({ kind: "reset", stream, code: "lost" });
      expect(pair.serverEvents.at(-1)).toMatchObject({ kind: "connect", stream: waiting });
      expect(pair.client.stats().streams).toBe(1);
      pair.client.check();
    },
  );

  test("other links of the old tunnel go, one that was still asked for as well, and new streams do not use them", () => {
    const { pair, old, secret } = running();
    pair.connect("resumed", 1);
    const late = pair.offer("resumed", 2);
    restart(pair);
    const asked = pair.offer("created", 0, secret);
    pair.deliverUp(asked);
    pair.deliverDown(asked);
    const dead = pair.clientEvents.filter(({ kind }) => kind === "dead");
    expect(dead).toEqual([{ kind: "dead", slot: 1 }]);
    const before = [old, late].map(({ up }) => up.length);
    for (let count = 0; count < 4; count++) pair.open();
    pair.flush();
    expect([old, late].map(({ up }) => up.length)).toEqual(before);
    expect(pair.client.slotStats(0).streams).toBe(4);
  });

  test("another slot's link that asked under the same secret is its link too", () => {
    const { pair, old, secret } = running();
    pair.cut(old);
    restart(pair);
    const first = pair.offer("created", 0, secret);
    const second = pair.offer("resumed", 1, secret);
    pair.deliverUp(first);
    pair.deliverUp(second);
    pair.run();
    expect(pair.client.stats().links).toBe(2);
    expect(kinds(pair.clientEvents).filter((kind) => kind === "reset")).toHaveLength(1);
    const streams = [pair.openStream(), pair.openStream()];
    expect(streams.map((_, slot) => pair.client.slotStats(slot).streams)).toEqual([1, 1]);
  });

  test("what never left goes out on its link, and waits for no other", () => {
    const { pair, old, secret } = running();
    pair.cut(old);
    pair.offer("resumed", 2);
    for (let count = 0; count < LIMITS.maxEarlyStreams + 4; count++) pair.open();
    pair.flush();
    restart(pair);
    const first = pair.offer("created", 0, secret);
    pair.offer("resumed", 1, secret);
    pair.deliverUp(first);
    pair.deliverDown(first);
    expect([0, 1, 2].map((slot) => pair.client.slotStats(slot).streams)).toEqual([4, 0, 0]);
    pair.deliverUp(first);
    expect(kinds(pair.serverEvents).filter((kind) => kind === "connect")).toHaveLength(1 + 4);
  });

  test("an answer that was lost is given again: the tunnel is there, and nothing runs twice", () => {
    const { pair, old, secret } = running();
    pair.cut(old);
    restart(pair);
    const waiting = pair.open();
    const asked = pair.offer("created", 0, secret);
    pair.deliverUp(asked);
    pair.cut(asked);
    pair.connect("resumed", 0, secret);
    const connects = pair.serverEvents.filter(({ kind }) => kind === "connect").slice(1);
    expect(connects).toMatchObject([{ stream: waiting }]);
  });
});
