import { afterEach, describe, expect, test } from "bun:test";
import { OriginPool, targetOf } from "../../../src/client/proxy/http-pool.ts";
import {
  ORIGIN_CLOSING_MS,
  ORIGIN_IDLE_MS,
  ORIGINS_IDLE,
  ORIGINS_IDLE_PER_TARGET,
} from "../../../src/client/proxy/limits.ts";
import { OriginConnection, type OriginListener } from "../../../src/client/proxy/origin-connection.ts";
import { NotedStream } from "../support/noted-stream.ts";

const pools: OriginPool[] = [];
afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
});

/** Hears nothing, or says that it did. */
function listener(heard: string[] = []): OriginListener {
  return {
    onResponse: () => void heard.push("response"),
    onData: () => void heard.push("data"),
    onFin: () => void heard.push("fin"),
    onReset: () => void heard.push("reset"),
    onFull: () => void heard.push("full"),
    onWritable: () => void heard.push("writable"),
  };
}

function newPool() {
  const clock = { now: 0 };
  const pool = new OriginPool({ now: () => clock.now, sweepMs: 2 });
  pools.push(pool);
  return { pool, clock };
}

function connect(target = "a 80") {
  const stream = new NotedStream();
  const origin = new OriginConnection(target, listener());
  origin.join(stream);
  return { origin, stream };
}

describe("taking", () => {
  test("one that was kept, once; its taker hears it then, and nobody else", () => {
    const { pool } = newPool();
    const { origin } = connect();
    pool.keep(origin, ORIGIN_IDLE_MS);
    expect(pool.stats()).toEqual({ kept: 1, reused: 0, repeated: 0 });
    const heard: string[] = [];
    expect(pool.take("a 80", listener(heard))).toBe(origin);
    expect(pool.take("a 80", listener())).toBeUndefined();
    origin.onData(new Uint8Array(1));
    expect(heard).toEqual(["data"]);
    expect(pool.stats()).toEqual({ kept: 0, reused: 1, repeated: 0 });
  });

  test("only for the same host and port", () => {
    const { pool } = newPool();
    pool.keep(connect("a 80").origin, ORIGIN_IDLE_MS);
    for (const other of ["a 81", "b 80", "aa 80"]) expect(pool.take(other, listener())).toBeUndefined();
  });

  test("the one that was used last", () => {
    const { pool } = newPool();
    const [first, second] = [connect(), connect()];
    pool.keep(first.origin, ORIGIN_IDLE_MS);
    pool.keep(second.origin, ORIGIN_IDLE_MS);
    expect(pool.take("a 80", listener())).toBe(second.origin);
    expect(pool.take("a 80", listener())).toBe(first.origin);
  });

  test("none whose time is over, though nobody has looked yet", () => {
    const { pool, clock } = newPool();
    const { origin, stream } = connect();
    pool.keep(origin, ORIGIN_IDLE_MS);
    clock.now = ORIGIN_IDLE_MS;
    expect(pool.take("a 80", listener())).toBeUndefined();
    expect(stream.calls).toEqual(["finish"]);
  });

  test("names differ by their letters, not by their case", () => {
    const host = (name: string) => ({ host: { kind: "name" as const, name }, port: 80 });
    expect(targetOf(host("Example.COM"))).toBe(targetOf(host("example.com")));
    const address = { kind: "ipv4" as const, address: new Uint8Array([127, 0, 0, 1]) };
    expect(targetOf({ host: address, port: 8_080 })).toBe("127.0.0.1 8080");
  });
});

describe("an idle one is thrown away", () => {
  test.each([
    ["ends", (origin: OriginConnection) => origin.onFin(), ["finish", "release"]],
    ["speaks", (origin: OriginConnection) => origin.onData(new Uint8Array(1)), ["reset"]],
    ["breaks", (origin: OriginConnection) => origin.onReset("connection"), ["reset"]],
  ])("when it %s", (_, happen, calls) => {
    const { pool } = newPool();
    const { origin, stream } = connect();
    pool.keep(origin, ORIGIN_IDLE_MS);
    happen(origin);
    expect(stream.calls).toEqual(calls);
    expect(pool.stats().kept).toBe(0);
    expect(pool.take("a 80", listener())).toBeUndefined();
  });

  test("when its time is over: FIN, and reset if its origin does not follow", async () => {
    const { pool, clock } = newPool();
    const { origin, stream } = connect();
    pool.keep(origin, ORIGIN_IDLE_MS);
    clock.now = ORIGIN_IDLE_MS;
    await Bun.sleep(20);
    expect(stream.calls).toEqual(["finish"]);
    clock.now += ORIGIN_CLOSING_MS;
    await Bun.sleep(20);
    expect(stream.calls).toEqual(["finish", "reset"]);
  });

  test("when its time is over, in order where its origin does", async () => {
    const { pool, clock } = newPool();
    const { origin, stream } = connect();
    pool.keep(origin, ORIGIN_IDLE_MS);
    clock.now = ORIGIN_IDLE_MS;
    await Bun.sleep(20);
    origin.onFin();
    expect(stream.calls).toEqual(["finish", "finish", "release"]);
  });
});

describe("how many", () => {
  test("above the number for one origin the longest idle goes", () => {
    const { pool } = newPool();
    const all = Array.from({ length: ORIGINS_IDLE_PER_TARGET + 1 }, () => connect());
    pool.keep(connect("other 80").origin, ORIGIN_IDLE_MS);
    for (const { origin } of all) pool.keep(origin, ORIGIN_IDLE_MS);
    expect(all.map(({ stream }) => stream.calls.length)).toEqual([1, ...all.slice(1).map(() => 0)]);
    expect(pool.stats().kept).toBe(ORIGINS_IDLE_PER_TARGET + 1);
  });

  test("above the number of all the longest idle goes", () => {
    const { pool } = newPool();
    const all = Array.from({ length: ORIGINS_IDLE + 2 }, (_, index) => connect(`${index} 80`));
    for (const { origin } of all) pool.keep(origin, ORIGIN_IDLE_MS);
    expect(pool.stats().kept).toBe(ORIGINS_IDLE);
    expect(all.map(({ stream }) => stream.calls.length).slice(0, 4)).toEqual([1, 1, 0, 0]);
  });

  test("one that may not be kept is ended", () => {
    const { pool } = newPool();
    const { origin, stream } = connect();
    pool.keep(origin, 0);
    expect([pool.stats().kept, stream.calls]).toEqual([0, ["finish"]]);
  });

  test("a closed pool keeps nothing, and has reset what it had", () => {
    const { pool } = newPool();
    const [idle, closing, late] = [connect(), connect(), connect()];
    pool.keep(idle.origin, ORIGIN_IDLE_MS);
    pool.finish(closing.origin);
    pool.close();
    pool.keep(late.origin, ORIGIN_IDLE_MS);
    expect([idle, closing, late].map(({ stream }) => stream.calls)).toEqual([
      ["reset"],
      ["finish", "reset"],
      ["reset"],
    ]);
  });
});
