import { describe, expect, test } from "bun:test";
import { generateIdentity, LIMITS, tunnelMemoryBound } from "../../src/proto/index.ts";
import { poolBytesOf, SERVER_LIMITS } from "../../src/server/server-limits.ts";
import { Dice } from "../sim/dice.ts";
import { to } from "./dialer-setup.ts";
import { Target, TestClient, until, useRegistries } from "./registry-support.ts";

const GiB = 1024 ** 3;
const newRegistry = useRegistries();

describe("the pools of one identity's tunnels", () => {
  const all = (memory: number) =>
    Array.from({ length: SERVER_LIMITS.tunnelsPerClient }, (_, tunnels) => 2 * poolBytesOf(tunnels, memory));
  const sum = (bytes: readonly number[]) => bytes.reduce((total, each) => total + each, 0);

  test("are together less than half of the memory, with as many tunnels as it may have", () => {
    for (const memory of [4 * GiB, 16 * GiB, 256 * GiB])
      expect([memory, sum(all(memory)) < memory / 2]).toEqual([memory, true]);
    expect(sum(all(GiB))).toBeLessThan(GiB);
  });

  test("are full ones for the first, and never too small to begin with", () => {
    expect([poolBytesOf(0, 0), poolBytesOf(7, 16 * GiB)]).toEqual([LIMITS.poolBytes, LIMITS.poolBytes]);
    expect(Math.min(...all(0))).toBeGreaterThanOrEqual(2 * LIMITS.maxEarlyBytes);
  });

  test("bound what it can make the server keep of downloads that nobody reads", async () => {
    const poolBytes = (tunnels: number) => Math.floor(1_000_000 / (tunnels + 1));
    const registry = newRegistry({ poolBytes });
    const target = new Target(20_000_000);
    const clientKey = generateIdentity(new Dice(6).random).publicKey;
    const crowd = Array.from({ length: 4 }, () => new TestClient(registry, { clientKey }));
    const bounds = crowd.map((_, tunnels) => tunnelMemoryBound(20, poolBytes(tunnels), poolBytes(tunnels)));
    for (const client of crowd) {
      await client.dial(1);
      for (let stream = 0; stream < 20; stream++) client.open(target.destination, false);
    }
    await until("all of them have a socket", () => registry.stats().sockets === 80);
    await Bun.sleep(300);
    expect(registry.stats().heldBytes).toBeLessThan(bounds.reduce((sum, bound) => sum + bound, 0));
    for (const client of crowd) await client.cut();
    target.stop();
  }, 20_000);

  test("bound what it can make the server keep of uploads, and leave another identity its own", async () => {
    const poolBytes = (tunnels: number) => Math.floor(1_000_000 / (tunnels + 1));
    const registry = newRegistry({ poolBytes });
    const unread = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.pause(), data: () => {} },
    });
    const clientKey = generateIdentity(new Dice(5).random).publicKey;
    const crowd = Array.from({ length: 10 }, () => new TestClient(registry, { clientKey }));
    const upload = async (client: TestClient) => {
      await client.dial(1);
      const { stream } = client.open(to("127.0.0.1", unread.port));
      for (let chunk = 0; chunk < 100; chunk++) stream?.write(new Uint8Array(200_000));
    };
    for (const client of crowd) await upload(client);
    await Bun.sleep(300);
    // 1 + 1/2 + … + 1/10 is 2.93.
    expect(registry.stats().pooledBytes).toBeLessThan(2_930_000);
    const before = registry.stats().pooledBytes;
    const other = new TestClient(registry);
    await upload(other);
    await until(
      "another identity has a pool of its own",
      () => registry.stats().pooledBytes > before + 250_000,
    );
    for (const client of [...crowd, other]) await client.cut();
    unread.stop(true);
  }, 20_000);
});
