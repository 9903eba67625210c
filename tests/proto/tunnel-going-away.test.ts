import { describe, expect, test } from "bun:test";
import type { TunnelEvent } from "../../src/proto/index.ts";
import { TunnelPair } from "../support/tunnel-pair.ts";

// PROTOCOL.md section 8, "A server that goes away".

const connects = (events: readonly TunnelEvent[]) =>
  events.flatMap((event) => (event.kind === "connect" ? [event.stream] : []));

/** A tunnel with a stream, whose server has said that it goes away. */
function leaving() {
  const pair = new TunnelPair();
  const line = pair.connect("created");
  const running = pair.openStream();
  pair.server.goAway();
  pair.run();
  pair.serverEvents.length = 0;
  return { pair, line, running };
}

describe("once GoAway has come", () => {
  test("what runs goes on, and new streams wait", () => {
    const { pair, running } = leaving();
    const fresh = pair.open();
    pair.client.write(fresh, Uint8Array.of(1, 2, 3), pair.now);
    pair.client.write(running, Uint8Array.of(4, 5), pair.now);
    pair.run();
    expect(connects(pair.serverEvents)).toEqual([]);
    expect(pair.received(pair.serverEvents, running)).toBe(2);
    expect(pair.client.stats().streams).toBe(2);
  });

  test("they do not start on further links of that server either, not even early", () => {
    const { pair, line, running } = leaving();
    pair.open();
    const next = pair.connect("resumed");
    pair.cut(line);
    pair.cut(next);
    pair.connect("resumed");
    pair.client.write(running, Uint8Array.of(4, 5), pair.now);
    pair.run();
    expect(connects(pair.serverEvents)).toEqual([]);
    expect(pair.received(pair.serverEvents, running)).toBe(2);
  });

  test("they start with its successor, and on a link of another slot that has not said so", () => {
    const { pair, line } = leaving();
    const fresh = pair.open();
    pair.cut(line);
    pair.server = new TunnelPair().server;
    pair.connect("created", 0, pair.dice.random(32));
    expect(connects(pair.serverEvents)).toEqual([fresh]);
  });

  test("a stream whose connect was lost on the way is not sent again there", () => {
    const pair = new TunnelPair();
    const line = pair.connect("created");
    const lost = pair.open();
    pair.flush();
    pair.cut(line);
    pair.server.goAway();
    const next = pair.connect("resumed");
    expect(connects(pair.serverEvents)).toEqual([]);
    pair.cut(next);
    pair.server = new TunnelPair().server;
    pair.connect("created", 0, pair.dice.random(32));
    expect(connects(pair.serverEvents)).toEqual([lost]);
  });
});
