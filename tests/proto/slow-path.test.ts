import { describe, expect, test } from "bun:test";
import { keepWriting, type TestEnd, Tunnels } from "./support/tunnels.ts";

/** Bytes per ms, which is KB/s. */
const RATES = [3, 5, 10, 20, 30];

/** What ends say of links that are silent for too long. */
function doubts({ events }: TestEnd): string[] {
  return events.map(({ kind }) => kind).filter((kind) => kind === "suspect" || kind === "dead");
}

// A message arrives as a whole or not at all: a long one is silence until it is there.
describe.each(RATES)("over %i KB/s", (rate) => {
  const start = () => {
    const tunnels = Tunnels.connected({ rate, delayMs: 25, padding: "padme" });
    tunnels.settle();
    tunnels.run(2_000);
    return tunnels;
  };

  test("a link lives under transfers both ways", () => {
    const tunnels = start();
    const stream = tunnels.open();
    tunnels.run(5_000);
    tunnels.server.tunnel.respond(stream, "connected", tunnels.now);
    keepWriting(tunnels.server, stream, tunnels);
    keepWriting(tunnels.client, stream, tunnels);
    tunnels.run(120_000);
    expect([doubts(tunnels.client), doubts(tunnels.server)]).toEqual([[], []]);
    expect(tunnels.client.count(stream)).toBeGreaterThan(100_000 * rate * 0.8);
    expect(tunnels.server.count(stream)).toBeGreaterThan(100_000 * rate * 0.8);
  });

  test("and the next link is accepted in time and goes on, whatever waits to be sent again", () => {
    const tunnels = start();
    const stream = tunnels.open();
    tunnels.run(5_000);
    tunnels.server.tunnel.respond(stream, "connected", tunnels.now);
    keepWriting(tunnels.server, stream, tunnels);
    keepWriting(tunnels.client, stream, tunnels);
    tunnels.run(10_000);
    for (const line of [...tunnels.lines]) tunnels.cut(line);
    tunnels.run(100);
    const accepts = tunnels.client.told("accepted").length;
    tunnels.connect();
    const isAccepted = () => tunnels.client.told("accepted").length > accepts;
    // Behind the handshake's own 1.2 KB the first packet has to be there within 5 s.
    expect(tunnels.runUntil(isAccepted, 5_000)).toBe(true);
    const before = tunnels.client.count(stream);
    tunnels.run(60_000);
    expect([doubts(tunnels.client), doubts(tunnels.server)]).toEqual([[], []]);
    expect(tunnels.client.count(stream) - before).toBeGreaterThan(50_000 * rate * 0.8);
  });

  test("a list of a thousand streams is no hindrance", () => {
    const tunnels = start();
    const streams = Array.from({ length: 1_000 }, () => tunnels.open());
    tunnels.run(60_000);
    for (const stream of streams) tunnels.server.tunnel.respond(stream, "connected", tunnels.now);
    tunnels.run(60_000);
    for (const line of [...tunnels.lines]) tunnels.cut(line);
    tunnels.connect();
    tunnels.run(60_000);
    expect(tunnels.client.told("accepted")).toHaveLength(2);
    expect([doubts(tunnels.client), doubts(tunnels.server)]).toEqual([[], []]);
  });
});
