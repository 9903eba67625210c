import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Socket } from "bun";
import { ChaosProxy } from "./chaos-proxy.ts";

/** What one end of a connection has seen. */
interface Seen {
  readonly chunks: Uint8Array[];
  ended: "open" | "fin" | "reset";
}

/** Far more than a loopback needs, and little beside the limit of a test. */
const SOON_MS = 3_000;
const MB = 1_000_000;

let proxy: ChaosProxy;
let far: { readonly sockets: Socket<Seen>[]; readonly port: number; stop(): void };

beforeEach(() => {
  far = listen();
  proxy = new ChaosProxy(() => far.port);
});

afterEach(() => {
  proxy.close();
  far.stop();
});

describe("the chaos proxy", () => {
  test("passes bytes and half-closes both ways, and counts them", async () => {
    const { near, peer } = await connected();
    const sent = pour(near, MB);
    await until(() => sent() === MB);
    near.shutdown();
    await until(() => received(peer) === MB && peer.data.ended === "fin");
    peer.write("answer after the end of input");
    peer.shutdown();
    await until(() => near.data.ended === "fin" && proxy.open === 0);
    expect(received(near)).toBe(29);
    expect(proxy.counts).toEqual({ connections: 1, cuts: 0, up: MB, down: 29, swallowed: 0 });
  });

  test("passes on a reset as a reset", async () => {
    const { near, peer } = await connected();
    near.terminate();
    await until(() => peer.data.ended !== "open" && proxy.open === 0);
    expect(peer.data.ended).toBe("reset");
  });

  test.each(["reset", "fin"] as const)("cuts by %s, which both sides see", async (how) => {
    const { near, peer } = await spoken();
    expect(proxy.cut(how)).toBe(1);
    await until(() => near.data.ended === how && peer.data.ended === how);
    near.end();
    peer.end();
    await until(() => proxy.open === 0);
    expect(proxy.counts.cuts).toBe(1);
  });

  test("counts no cut where nobody has spoken", async () => {
    await connected();
    expect(proxy.cut("reset")).toBe(0);
    expect(proxy.counts.cuts).toBe(0);
  });

  test("cuts at random until told to stop", async () => {
    const stop = proxy.cutAtRandom({ minMs: 5, maxMs: 20, random: Math.random });
    while (proxy.counts.cuts < 5) {
      const { near, peer } = await connected();
      near.write("a");
      peer.write("b");
      await until(() => near.data.ended !== "open");
    }
    stop();
    const { cuts } = proxy.counts;
    const { near } = await spoken();
    await Bun.sleep(60);
    expect(near.data.ended).toBe("open");
    expect(proxy.counts.cuts).toBe(cuts);
  });

  test("stalls one way, ends included, and loses nothing", async () => {
    const { near, peer } = await spoken();
    proxy.stall("up");
    near.write("held");
    near.shutdown();
    peer.write("passes");
    await until(() => received(near) === 1 + 6);
    await Bun.sleep(50);
    expect([received(peer), peer.data.ended]).toEqual([1, "open"]);
    proxy.flow();
    await until(() => received(peer) === 1 + 4 && peer.data.ended === "fin");
  });

  test("holds no more than its bound while stalled", async () => {
    const { near, peer } = await spoken();
    proxy.stall("both");
    const before = process.memoryUsage.rss();
    const sent = pour(near, 30 * MB);
    await Bun.sleep(300);
    // What went in is in the kernel's buffers or in the proxy; the writer waits with the rest.
    expect(sent()).toBeLessThan(20 * MB);
    expect(process.memoryUsage.rss() - before).toBeLessThan(60 * MB);
    proxy.flow();
    await until(() => received(peer) === 1 + 30 * MB, 15_000);
  }, 20_000);

  test("delays each way", async () => {
    const { near, peer } = await spoken();
    proxy.delay(100);
    const sentAt = performance.now();
    near.write("ping");
    await until(() => received(peer) === 1 + 4);
    peer.write("pong");
    await until(() => received(near) === 1 + 4);
    const tookMs = performance.now() - sentAt;
    expect(tookMs).toBeGreaterThanOrEqual(199);
    expect(tookMs).toBeLessThan(1_000);
  });

  test("throttles all connections together", async () => {
    const pairs = [await spoken(), await spoken()] as const;
    proxy.throttle(4 * MB);
    const startedAt = performance.now();
    for (const { near } of pairs) pour(near, MB);
    await until(() => pairs.every(({ peer }) => received(peer) === 1 + MB));
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThan(450);
    expect(tookMs).toBeLessThan(1_500);
  });

  test("lets nobody starve on a throttled path", async () => {
    const greedy = [await spoken(), await spoken(), await spoken()];
    const modest = await spoken();
    proxy.throttle(2 * MB);
    for (const { near } of greedy) pour(near, 20 * MB);
    await Bun.sleep(100);
    for (let sent = 1; sent <= 5; sent++) {
      modest.near.write("x");
      await until(() => received(modest.peer) === 1 + sent);
    }
  });

  test("swallows in a black hole and tells nobody of an end", async () => {
    const old = await spoken();
    proxy.blackhole(true);
    old.near.write("lost");
    const fresh = await dial();
    fresh.write("lost too");
    await until(() => proxy.counts.swallowed === 4 + 8);
    old.near.terminate();
    await Bun.sleep(50);
    expect([received(old.peer), old.peer.data.ended, far.sockets.length]).toEqual([1, "open", 1]);
    proxy.blackhole(false);
    await Bun.sleep(20);
    expect([received(old.peer), old.peer.data.ended]).toEqual([1, "open"]);
    const { near, peer } = await spoken();
    expect([received(near), received(peer)]).toEqual([1, 1]);
  });

  test("breaks who dials where nobody listens", async () => {
    far.stop();
    const near = await dial();
    await until(() => near.data.ended !== "open" && proxy.open === 0);
  });

  test("leaves no connection and accepts none when it is closed", async () => {
    const { near, peer } = await spoken();
    proxy.delay(60_000);
    near.write("never arrives");
    await until(() => proxy.open === 1);
    proxy.close();
    await until(() => near.data.ended !== "open" && peer.data.ended !== "open" && proxy.open === 0);
    expect(dial()).rejects.toThrow();
  });
});

function handlers(onOpen: (socket: Socket<Seen>) => void) {
  return {
    open: onOpen,
    data: ({ data }: Socket<Seen>, bytes: Uint8Array) => void data.chunks.push(bytes),
    drain: () => {},
    end: ({ data }: Socket<Seen>) => {
      data.ended = "fin";
    },
    close: ({ data }: Socket<Seen>, error?: Error) => {
      if (data.ended === "open") data.ended = error === undefined ? "fin" : "reset";
    },
    error: () => {},
  };
}

function listen() {
  const sockets: Socket<Seen>[] = [];
  const open = (socket: Socket<Seen>) => {
    socket.data = { chunks: [], ended: "open" };
    sockets.push(socket);
  };
  const listener = Bun.listen<Seen>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: handlers(open),
  });
  return { sockets, port: listener.port, stop: () => listener.stop(true) };
}

function dial(): Promise<Socket<Seen>> {
  const data: Seen = { chunks: [], ended: "open" };
  return Bun.connect<Seen>({
    hostname: "127.0.0.1",
    port: proxy.port,
    allowHalfOpen: true,
    data,
    socket: handlers(() => {}),
  });
}

/** One connection through the proxy: the end that dialled, and the end behind it. */
async function connected() {
  const { length } = far.sockets;
  const near = await dial();
  await until(() => far.sockets.length > length);
  const peer = far.sockets[length];
  if (peer === undefined) throw new Error("nobody came");
  return { near, peer };
}

/** The same after one byte each way. */
async function spoken() {
  const pair = await connected();
  pair.near.write("a");
  await until(() => received(pair.peer) === 1);
  pair.peer.write("b");
  await until(() => received(pair.near) === 1);
  return pair;
}

function received({ data }: Socket<Seen>): number {
  return data.chunks.reduce((sum, { length }) => sum + length, 0);
}

/** Writes `size` bytes as fast as they are taken. Returns how many were so far. */
function pour(socket: Socket<Seen>, size: number): () => number {
  const block = new Uint8Array(256 * 1024);
  let sent = 0;
  const more = () => {
    while (sent < size) {
      const taken = Math.max(socket.write(block.subarray(0, Math.min(block.length, size - sent))), 0);
      if (taken === 0) break;
      sent += taken;
    }
    if (sent < size) setTimeout(more, 5);
  };
  more();
  return () => sent;
}

async function until(isMet: () => boolean, limitMs = SOON_MS): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!isMet()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${isMet}`);
    await Bun.sleep(2);
  }
}
