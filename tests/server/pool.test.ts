import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { Socket } from "bun";
import { formatIp } from "../../src/runtime/address.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { openLinuxConnect } from "../../src/server/connect-linux.ts";
import { connectPortably } from "../../src/server/connect-portable.ts";
import type { Dialer } from "../../src/server/dialer.ts";
import { POOL_LIMITS } from "../../src/server/limits.ts";
import { type PoolLimits, type PoolOptions, SparePool } from "../../src/server/pool.ts";
import {
  dialersOf,
  errorOf,
  isLinux,
  never,
  recorder,
  serve,
  stopServers,
  to,
  until,
} from "./dialer-setup.ts";
import { TestClient, useRegistries } from "./registry-support.ts";

const connectReally = openLinuxConnect() ?? connectPortably;
const HERE = ["127.0.0.1"];
const NAMES = { "a.example": HERE, "b.example": HERE, "c.example": HERE };
const pools: SparePool[] = [];
afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
  stopServers();
});

/** What the far end sees of its connections, in the order of their arrival. */
interface Far {
  readonly sockets: Socket<undefined>[];
  readonly received: string[];
  ended: number;
}

interface Setup extends Partial<Omit<PoolOptions, "limits">> {
  readonly limits?: Partial<PoolLimits>;
  /** Names that lead to loopback. */
  readonly names?: Record<string, string[]>;
}

/** A pool whose every destination is one real server on loopback, with a clock that the test moves. */
function newPool({ limits = {}, names = NAMES, ...options }: Setup = {}) {
  const far: Far = { sockets: [], received: [], ended: 0 };
  const port = serve({
    open: (socket) => void far.sockets.push(socket),
    data: (_, bytes) => void far.received.push(bytes.toString()),
    end: (socket) => void socket.end(),
    close: () => {
      far.ended += 1;
    },
  });
  const clock = { now: 1_000 };
  const tried: string[] = [];
  const dialers = dialersOf({
    names,
    connect: (address, _port, events) => {
      tried.push(formatIp(address));
      return connectReally(address, port, events);
    },
  });
  const pool = new SparePool({
    dialers,
    policy: { decide: () => ({ permitted: true, rule: "" }) },
    log: silentLog,
    now: () => clock.now,
    ...options,
    limits: { ...POOL_LIMITS, ...limits },
  });
  pools.push(pool);
  return { pool, far, clock, tried };
}

async function ask(dialer: Dialer, host = "a.example", port = 443) {
  const { setup, events } = recorder();
  const socket = await dialer.dial(to(host, port), setup, never);
  return { socket, events };
}

/** Asks twice, so that the pool connects ahead, and waits until it has. */
async function warm(pool: SparePool, owner = "ann", host = "a.example", port = 443) {
  const before = pool.stats().made;
  await ask(pool.dialerOf(owner), host, port);
  await ask(pool.dialerOf(owner), host, port);
  await until(() => pool.stats().made >= before + POOL_LIMITS.perTarget);
}

const descriptors = () => readdirSync("/proc/self/fd").length;

describe("what is connected ahead", () => {
  test("nothing at the first request; two sockets after the second within seconds", async () => {
    const { pool, tried } = newPool();
    await ask(pool.dialerOf("ann"));
    expect(pool.stats()).toEqual({ spares: 0, made: 0, used: 0, unused: 0 });
    await ask(pool.dialerOf("ann"));
    await until(() => pool.stats().made === 2);
    expect(pool.stats()).toEqual({ spares: 2, made: 2, used: 0, unused: 0 });
    expect(tried).toHaveLength(4);
  });

  test("the third request has its socket without a dial, and the spare is replaced", async () => {
    const { pool, far, tried } = newPool();
    await warm(pool);
    const { socket, events } = await ask(pool.dialerOf("ann"));
    expect(events).toEqual(["open mine"]);
    expect(pool.stats()).toMatchObject({ used: 1 });
    socket.write("hello");
    await until(() => far.received.length === 1);
    await until(() => pool.stats().made === 3);
    expect([pool.stats().spares, tried.length]).toEqual([2, 5]);
  });

  test("what comes on it afterwards goes to its user, end and close too", async () => {
    const { pool, far } = newPool();
    await warm(pool);
    const { socket, events } = await ask(pool.dialerOf("ann"));
    socket.write("which");
    await until(() => far.received.length === 1);
    for (const one of far.sockets) one.write("x");
    await until(() => events.includes("data x"));
    for (const one of far.sockets) one.shutdown();
    await until(() => events.includes("end"));
    expect(events).toEqual(["open mine", "data x", "end"]);
  });

  test("nothing where the second request comes later than that", async () => {
    const { pool, clock } = newPool();
    await ask(pool.dialerOf("ann"));
    clock.now += POOL_LIMITS.repeatMs + 1;
    await ask(pool.dialerOf("ann"));
    await Bun.sleep(20);
    expect(pool.stats().made).toBe(0);
  });

  test.each([22, 25, 8_443, 5_432])("nothing on port %d, whose service may speak first", async (port) => {
    const { pool } = newPool();
    for (let n = 0; n < 5; n++) await ask(pool.dialerOf("ann"), "a.example", port);
    await Bun.sleep(20);
    expect(pool.stats()).toEqual({ spares: 0, made: 0, used: 0, unused: 0 });
  });

  test("nothing for a host that could not be reached", async () => {
    const { pool } = newPool();
    for (let n = 0; n < 3; n++) {
      const error = await errorOf(pool.dialerOf("ann").dial(to("nowhere", 443), recorder().setup, never));
      expect(error.failure).toBe("nameNotFound");
    }
    expect(pool.stats().spares).toBe(0);
  });

  test("the number of targets remembered for one client is bounded, the longest ago goes first", async () => {
    const { pool } = newPool({ limits: { targetsPerClient: 2 } });
    for (const host of Object.keys(NAMES)) await ask(pool.dialerOf("ann"), host);
    await ask(pool.dialerOf("ann"), "a.example");
    expect(pool.stats().spares).toBe(0);
    await ask(pool.dialerOf("ann"), "c.example");
    expect(pool.stats().spares).toBe(2);
  });
});

describe("whose a spare is", () => {
  test("another client never gets it", async () => {
    const { pool, tried } = newPool();
    await warm(pool, "ann");
    const before = tried.length;
    await ask(pool.dialerOf("bob"));
    expect([pool.stats().used, tried.length - before]).toEqual([0, 1]);
  });

  test("another port or another name for the same address does not either", async () => {
    const { pool } = newPool();
    await warm(pool);
    await ask(pool.dialerOf("ann"), "a.example", 80);
    await ask(pool.dialerOf("ann"), "b.example");
    await ask(pool.dialerOf("ann"), "127.0.0.1");
    expect(pool.stats().used).toBe(0);
  });

  test("of requests at once each has a socket of its own", async () => {
    const { pool, far } = newPool();
    await warm(pool);
    const asked = await Promise.all(Array.from({ length: 20 }, () => ask(pool.dialerOf("ann"))));
    expect(new Set(asked.map(({ socket }) => socket)).size).toBe(20);
    asked.forEach(({ socket }, index) => void socket.write(`#${index}`));
    await until(() => far.received.length === 20);
    expect(new Set(far.received).size).toBe(20);
    expect(pool.stats().used).toBeGreaterThanOrEqual(2);
  });

  test("it goes with its client; others keep theirs", async () => {
    const { pool, far } = newPool();
    await warm(pool, "ann");
    await warm(pool, "bob");
    pool.forget("ann");
    expect(pool.stats()).toMatchObject({ spares: 2, unused: 2 });
    await until(() => far.ended >= 2);
    await ask(pool.dialerOf("bob"));
    expect(pool.stats().used).toBe(1);
  });
});

describe("what is thrown away", () => {
  test("a spare whose peer has spoken", async () => {
    const { pool, far } = newPool();
    await warm(pool);
    for (const socket of far.sockets) socket.write("220 banner\r\n");
    await until(() => pool.stats().unused === 2);
    const { events } = await ask(pool.dialerOf("ann"));
    expect([pool.stats().used, events]).toEqual([0, ["open mine"]]);
  });

  test.each([
    ["ended", (socket: Socket<undefined>) => void socket.shutdown()],
    ["closed", (socket: Socket<undefined>) => void socket.end()],
    ["reset", (socket: Socket<undefined>) => socket.terminate()],
  ])("a spare whose peer has %s", async (_, leave) => {
    const { pool, far } = newPool();
    await warm(pool);
    for (const socket of far.sockets) leave(socket);
    await until(() => pool.stats().unused === 2);
    expect(pool.stats().spares).toBe(0);
  });

  test.skipIf(!isLinux)("also where its handler has not heard of it yet", async () => {
    const { pool, far } = newPool();
    await warm(pool);
    for (const socket of far.sockets) socket.write("x");
    // Without a turn of the event loop between: only the kernel knows.
    const dial = ask(pool.dialerOf("ann"));
    expect(pool.stats()).toMatchObject({ used: 0, unused: 2 });
    expect((await dial).events).toEqual(["open mine"]);
  });

  test("one that is too old, at hand-out", async () => {
    const { pool, clock } = newPool();
    await warm(pool);
    clock.now += POOL_LIMITS.maxAgeMs + 1;
    await ask(pool.dialerOf("ann"));
    expect(pool.stats()).toMatchObject({ used: 0, unused: 2 });
  });

  test("one that is too old, though nobody asks", async () => {
    const { pool, clock, far } = newPool({ limits: { sweepMs: 5 } });
    await warm(pool);
    await Bun.sleep(20);
    expect(pool.stats().spares).toBe(2);
    clock.now += POOL_LIMITS.maxAgeMs + 1;
    await until(() => pool.stats().spares === 0);
    await until(() => far.ended === 2);
  });

  test("one whose address the policy permits no more: judged by where the socket is, port included", async () => {
    const judged: string[] = [];
    let permitted = true;
    const decide = (address: Uint8Array, port: number) => {
      judged.push(`${formatIp(address)} ${port}`);
      return { permitted, rule: "test" };
    };
    const { pool } = newPool({ policy: { decide } });
    await warm(pool);
    permitted = false;
    await ask(pool.dialerOf("ann"));
    expect(pool.stats()).toMatchObject({ used: 0, unused: 2 });
    expect(judged).toEqual(["127.0.0.1 443", "127.0.0.1 443"]);
  });
});

test("a peer that spoils its spares is left alone for a while", async () => {
  const { pool, far, clock, tried } = newPool();
  await warm(pool);
  for (const socket of far.sockets) socket.write("220 banner\r\n");
  await until(() => pool.stats().unused === 2);
  const before = tried.length;
  for (let n = 0; n < 4; n++) await ask(pool.dialerOf("ann"));
  expect([pool.stats().spares, tried.length - before]).toEqual([0, 4]);
  clock.now += POOL_LIMITS.distrustMs;
  await warm(pool);
  expect(pool.stats().made).toBe(4);
});

describe("how many", () => {
  test("above the number of all, the oldest goes", async () => {
    const { pool, clock } = newPool({ limits: { inAll: 3 } });
    await warm(pool, "ann");
    clock.now += 1;
    await warm(pool, "bob");
    expect(pool.stats()).toMatchObject({ spares: 3, unused: 1 });
    await ask(pool.dialerOf("bob"));
    expect(pool.stats().used).toBe(1);
  });

  test.skipIf(!isLinux)(
    "no descriptor is left when the pool closes, of dials under way neither",
    async () => {
      const { pool } = newPool();
      const before = descriptors();
      const users = [];
      for (let round = 0; round < 10; round++) {
        for (const host of Object.keys(NAMES)) {
          users.push(await ask(pool.dialerOf(`client ${round % 3}`), host));
          users.push(await ask(pool.dialerOf(`client ${round % 3}`), host));
        }
      }
      expect(pool.stats().used).toBeGreaterThan(0);
      pool.close();
      for (const { socket } of users) socket.terminate();
      await until(() => pool.stats().spares === 0);
      await Bun.sleep(50);
      // The far ends live in this process too, and have closed with them.
      expect(descriptors()).toBeLessThanOrEqual(before);
      expect(pool.stats().made).toBe(pool.stats().used + pool.stats().unused);
    },
  );

  test("a closed pool dials, and connects nothing ahead", async () => {
    const { pool, tried } = newPool();
    pool.close();
    for (let n = 0; n < 3; n++) await ask(pool.dialerOf("ann"));
    await Bun.sleep(20);
    expect([tried.length, pool.stats().made]).toEqual([3, 0]);
  });

  test("a dial that is given up gets no spare", async () => {
    const { pool } = newPool();
    await warm(pool);
    const gone = AbortSignal.abort("gone");
    const error = await errorOf(pool.dialerOf("ann").dial(to("a.example", 443), recorder().setup, gone));
    expect([error.cause, pool.stats().used]).toEqual(["gone", 0]);
  });
});

describe("in a registry", () => {
  const newRegistry = useRegistries();
  const isWarm = (pool: SparePool) => () => pool.stats().made === POOL_LIMITS.perTarget;

  /** A client of a registry with this pool, which has asked twice. */
  async function warmClient(pool: SparePool) {
    const registry = newRegistry({ pool });
    const client = new TestClient(registry);
    expect(await client.dial(1)).toBe("created");
    for (let n = 0; n < 2; n++) {
      const asked = client.open(to("a.example", 443));
      await until(() => asked.response === "connected");
    }
    await until(isWarm(pool));
    return { registry, client };
  }

  test("the next stream of a client is answered from its spares; another client's is dialled", async () => {
    const { pool, tried } = newPool();
    const { registry, client } = await warmClient(pool);
    const dials = tried.length;
    const other = new TestClient(registry);
    await other.dial(1);
    const foreign = other.open(to("a.example", 443));
    await until(() => foreign.response === "connected");
    expect([pool.stats().used, tried.length - dials]).toEqual([0, 1]);
    const next = client.open(to("a.example", 443));
    await until(() => next.response === "connected");
    expect(pool.stats().used).toBe(1);
    expect(registry.stats().sockets).toBe(4);
  });

  test("a revoked client's spares are closed with its tunnel, in the same tick", async () => {
    const { pool } = newPool();
    const { registry } = await warmClient(pool);
    registry.dropUnless(() => false, "revoked");
    expect(pool.stats()).toMatchObject({ spares: 0, unused: 2 });
  });

  test("a tunnel that is given up takes them along", async () => {
    const { pool } = newPool();
    const { client } = await warmClient(pool);
    await client.cut();
    await until(() => pool.stats().spares === 0);
  });

  test("a drain closes them at once and makes no more", async () => {
    const { pool } = newPool();
    const { registry } = await warmClient(pool);
    const drained = registry.drain(10);
    expect(pool.stats()).toMatchObject({ spares: 0, unused: 2 });
    await drained;
  });
});
