import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { DialFailure } from "../../src/proto/index.ts";
import {
  dialerOf,
  dialersOf,
  errorOf,
  never,
  recorder,
  serve,
  stopServers,
  to,
  until,
} from "./dialer-setup.ts";
import { canIsolate, isInside, runInside, sh } from "./netns.ts";

test.skipIf(isInside || !canIsolate)(
  "a network of our own has every way to fail",
  () => runInside(import.meta.path),
  60_000,
);

const hasNft = Bun.which("nft") !== null;
const allow = ["10.0.0.0/8", "127.0.0.0/8", "::1", "fd77::/64", "fd99::/64"];

/** A neighbour whose address is known but who is not there: packets vanish, as behind a silent firewall. */
const SILENT = "10.77.0.66";
const SILENT6 = "fd77::66";
/** Nobody answers when asked for this address: the host is unreachable. */
const ABSENT = "10.77.0.77";

// Only the process inside has these: outside they would count as skipped.
if (isInside)
  describe("inside", () => {
    beforeAll(() => {
      sh(`
      ip link set lo up
      ip link add v0 type veth peer name v1
      ip link set v0 up
      ip link set v1 up
      ip addr add 10.77.0.1/24 dev v0
      ip addr add fd77::1/64 dev v0 nodad
      ip neigh add ${SILENT} lladdr 02:00:00:00:00:66 nud permanent dev v0
      ip neigh add ${SILENT6} lladdr 02:00:00:00:00:66 nud permanent dev v0
      ip route add unreachable 10.99.0.0/16
      ip route add prohibit 10.98.0.0/16
      ip route add blackhole 10.97.0.0/16
      echo 1 > /proc/sys/net/ipv4/tcp_syn_retries
      echo 100 > /proc/sys/net/ipv4/neigh/v0/retrans_time_ms
    `);
    });
    afterEach(() => {
      stopServers();
      if (hasNft) sh("nft flush ruleset");
    });

    test.each<[host: string, failure: DialFailure, errno: string]>([
      ["10.66.0.1", "netUnreachable", "ENETUNREACH"],
      ["fd99::1", "netUnreachable", "ENETUNREACH"],
      ["10.99.0.1", "hostUnreachable", "EHOSTUNREACH"],
      ["10.98.0.1", "policy", "EACCES"],
      ["10.97.0.1", "netUnreachable", "EINVAL"],
      [ABSENT, "hostUnreachable", "EHOSTUNREACH"],
      [SILENT, "timeout", "ETIMEDOUT"],
      ["127.0.0.1", "refused", "ECONNREFUSED"],
      ["::1", "refused", "ECONNREFUSED"],
    ])(
      "%s fails as %s (%s)",
      async (host, failure, errno) => {
        const { setup, events } = recorder();
        const error = await errorOf(dialerOf({ allow }).dial(to(host, 5555), setup, never));
        expect(error.message).toBe(`connect to ${host} port 5555: ${errno}`);
        expect({ failure: error.failure, events }).toEqual({ failure, events: [] });
      },
      15_000,
    );

    test.skipIf(!hasNft).each<[type: string, failure: DialFailure]>([
      ["host-unreachable", "hostUnreachable"],
      ["net-unreachable", "netUnreachable"],
      ["port-unreachable", "refused"],
      ["admin-prohibited", "hostUnreachable"],
    ])("an ICMP %s that comes later is %s", async (type, failure) => {
      reject(`tcp dport 5557 reject with icmp type ${type}`);
      const error = await errorOf(dialerOf({ allow }).dial(to("127.0.0.1", 5557), recorder().setup, never));
      expect(error.failure).toBe(failure);
    });

    test.skipIf(!hasNft)("a connection that takes a second opens then, and loses no banner", async () => {
      const port = serve({ open: (socket) => void socket.write("banner") });
      reject(`tcp dport ${port} drop`);
      const { setup, events } = recorder();
      const start = performance.now();
      const dial = dialerOf({ allow }).dial(to("127.0.0.1", port), setup, never);
      await Bun.sleep(300);
      sh("nft flush ruleset");
      expect(events).toEqual([]);
      const socket = await dial;
      expect(performance.now() - start).toBeWithin(900, 3_000);
      await until(() => events.length === 2);
      expect(events).toEqual(["open mine", "data banner"]);
      socket.terminate();
    });

    test("the deadline ends a silent dial, and nothing stays open", async () => {
      const before = descriptors();
      const start = performance.now();
      const error = await errorOf(
        dialerOf({ allow, deadlineMs: 200 }).dial(to(SILENT, 80), recorder().setup, never),
      );
      expect(error.failure).toBe("timeout");
      expect(performance.now() - start).toBeWithin(195, 1_000);
      expect(descriptors()).toBeLessThanOrEqual(before);
    });

    test("1,000 aborted dials end at once, and nothing stays open", async () => {
      const before = descriptors();
      const abort = new AbortController();
      const { setup, events } = recorder();
      const dialers = dialersOf({ allow });
      // Of so many clients, or most would be above their client's share.
      const dials = Array.from({ length: 1000 }, (_, client) =>
        errorOf(dialers.dialerOf(`${client}`).dial(to(SILENT, 80), setup, abort.signal)),
      );
      await Bun.sleep(50);
      // A socket of an earlier test may have been closing when they were counted.
      expect(descriptors()).toBeGreaterThan(before + 900);
      const start = performance.now();
      abort.abort("gone");
      expect(new Set((await Promise.all(dials)).map(({ cause }) => cause))).toEqual(new Set(["gone"]));
      expect(performance.now() - start).toBeLessThan(1_000);
      expect(events).toEqual([]);
      expect(descriptors()).toBeLessThanOrEqual(before);
    });

    test("a silent IPv6 address costs one stagger, one without a route nothing", async () => {
      const port = serve({ open: (socket) => void socket.write("hi") });
      const before = descriptors();
      for (const [first, low, high] of [
        [SILENT6, 245, 1_000],
        ["fd99::1", 0, 240],
      ] as const) {
        const dialer = dialerOf({ allow, names: { both: [first, "127.0.0.1"] } });
        const { setup, events } = recorder();
        const start = performance.now();
        const socket = await dialer.dial(to("both", port), setup, never);
        expect(performance.now() - start).toBeWithin(low, high);
        await until(() => events.length === 2);
        socket.terminate();
      }
      await until(() => descriptors() <= before);
    });
  });

/** A firewall rule on what comes in. */
function reject(rule: string): void {
  const rules = `table inet t {\n chain i {\n type filter hook input priority 0\n ${rule}\n }\n}`;
  sh(`nft -f - <<'END'\n${rules}\nEND`);
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
