import { beforeAll, test } from "bun:test";
import { canIsolate, isInside, runInside, sh } from "../server/netns.ts";
import { expectFailure } from "./support/failures.ts";
import { describeWith, programsFor, ROUTES, TEST_MS } from "./support/settings.ts";
import { useWorld } from "./support/world.ts";

/** A network of its own can fail in ways that loopback cannot, and nothing here ever leaves the machine. */
const RUN_MS = 2 * ROUTES.length * TEST_MS;

test.skipIf(isInside || !canIsolate)("in a network of its own", () => runInside(import.meta.path), RUN_MS);

/** A neighbour whose address is known but who is not there: packets vanish, as behind a silent firewall. */
const SILENT = "10.77.0.66";
/** Nobody answers when asked for this address. */
const ABSENT = "10.77.0.77";
const ALLOW = ["--allow", "127.0.0.0/8", "--allow", "10.0.0.0/8"];

if (isInside) {
  beforeAll(() => sh(NETWORK));
  for (const route of ROUTES) {
    describeWith(programsFor(route), `unreachable destinations, ${route}`, () => {
      const it = useWorld({ route, serverArgs: ALLOW });
      it("no route to the network is 3 and 502", (world) =>
        expectFailure(world, "http://10.66.0.1/", { socks5: 3, http: 502 }));
      it("an unreachable route is 4 and 502", (world) =>
        expectFailure(world, "http://10.99.0.1/", { socks5: 4, http: 502 }));
      it("a host that is not there is 4 and 502", (world) =>
        expectFailure(world, `http://${ABSENT}/`, { socks5: 4, http: 502 }));
      it("a host that does not answer is 6 and 504", (world) =>
        expectFailure(world, `http://${SILENT}/`, { socks5: 6, http: 504 }));
    });
  }
}

const NETWORK = `
  ip link set lo up
  ip link add v0 type veth peer name v1
  ip link set v0 up
  ip link set v1 up
  ip addr add 10.77.0.1/24 dev v0
  ip neigh add ${SILENT} lladdr 02:00:00:00:00:66 nud permanent dev v0
  ip route add unreachable 10.99.0.0/16
  echo 100 > /proc/sys/net/ipv4/neigh/v0/retrans_time_ms
`;
