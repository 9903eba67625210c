import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { canIsolate, isInside, runInside, sh } from "../server/netns.ts";
import { until, useHomes } from "./support/home.ts";

setDefaultTimeout(60_000);

test.skipIf(isInside || !canIsolate)("in a network of its own", () => runInside(import.meta.path), 60_000);

if (isInside) {
  const newHome = useHomes();
  beforeAll(() =>
    sh("ip link set lo up\nip link add v0 type veth peer name v1\nip link set v0 up\nip link set v1 up"),
  );

  describe("a machine that comes into another network", () => {
    test("gives up a dial that hangs in the old one, long before its deadline of 10 s", async () => {
      const home = await newHome();
      home.wire.silent = true;
      const client = await home.startClient({}, false);
      await until(() => home.wire.connections === 1);
      home.wire.silent = false;
      sh("ip addr add 10.77.0.1/24 dev v0");
      await until(() => client.status().link === "up", 6_000);
      expect(home.wire.connections).toBe(2);
    });

    test("checks a link that stands within 3 s, instead of after 20 s of silence, and dials another", async () => {
      const home = await newHome();
      const client = await home.startClient();
      await Bun.sleep(1_200);
      home.wire.freeze();
      sh("ip addr add 10.77.1.1/24 dev v0");
      // A look every 3 s, then a deadline of 3 s.
      await until(() => client.status().reconnects === 1, 8_000);
    });
  });
}
