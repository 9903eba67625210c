import { describe, expect, test } from "bun:test";
import { type Disturbance, NetworkWatch } from "../../src/client/network-watch.ts";

const HOME: string | undefined = "eth0 192.0.2.1/24";

/** A watch on clocks and addresses of the test's own, and what it has said. */
function watched() {
  const world = { steady: 1_000, wall: 1_700_000_000_000, addresses: HOME };
  const said: Disturbance[] = [];
  const watch = new NetworkWatch((what) => said.push(what), {
    steadyNow: () => world.steady,
    wallNow: () => world.wall,
    addresses: () => world.addresses,
  });
  watch.start();
  watch.stop();
  const pass = (steadyMs: number, wallMs = steadyMs) => {
    world.steady += steadyMs;
    world.wall += wallMs;
    watch.look();
  };
  return { world, said, pass };
}

describe("a watch on the network", () => {
  test("says nothing while nothing happens, also on a busy machine", () => {
    const { said, pass } = watched();
    for (let count = 0; count < 100; count++) pass(3_000 + (count % 20) * 100);
    expect(said).toEqual([]);
  });

  test("notices a suspension, which only the wall clock counts", () => {
    const { said, pass } = watched();
    pass(3_000, 3_600_000);
    pass(3_000);
    expect(said).toEqual(["slept"]);
  });

  test("notices a process that was stopped", () => {
    const { said, pass } = watched();
    pass(20_000);
    expect(said).toEqual(["slept"]);
  });

  test("does not care for a wall clock that is set back", () => {
    const { said, pass } = watched();
    pass(3_000, -3_600_000);
    expect(said).toEqual([]);
  });

  test("notices other addresses, once each time", () => {
    const { world, said, pass } = watched();
    world.addresses = "";
    pass(3_000);
    pass(3_000);
    world.addresses = "wlan0 198.51.100.7/24";
    pass(3_000);
    expect(said).toEqual(["network", "network"]);
  });

  test("takes a machine that cannot say its addresses for an unchanged one", () => {
    const { world, said, pass } = watched();
    world.addresses = undefined;
    pass(3_000);
    world.addresses = "eth0 192.0.2.1/24";
    pass(3_000);
    expect(said).toEqual([]);
  });

  test("reads this machine's addresses for less than a thousandth of a core", () => {
    const watch = new NetworkWatch(() => {});
    watch.start();
    watch.stop();
    const begun = performance.now();
    for (let count = 0; count < 100; count++) watch.look();
    expect((performance.now() - begun) / 100).toBeLessThan(3);
  });
});
