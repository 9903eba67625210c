import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatIp, parseIp } from "../../src/runtime/address.ts";
import { SPECIAL_RANGES } from "../../src/server/special-ranges.ts";
import { canIsolate, isInside, runInside, sh } from "../server/netns.ts";
import { startNameServer, type Zone } from "./support/name-server.ts";
import { askProxy, type Verdict, WAYS, type Way } from "./support/raw-proxy.ts";
import { describeWith, FULL, programsFor, TEST_MS } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** In a network of its own where every address of the internet is this machine: what is not reached was refused. */
test.skipIf(isInside || !canIsolate)(
  "the policy, where every address can be reached",
  () => runInside(import.meta.path),
  4 * TEST_MS,
);

const PUBLIC = "93.184.215.14";
const PUBLIC_6 = "2606:2800:21f:cb07::14";
/** Forms of 10.1.2.3 and 127.0.0.1 that some system somewhere takes for them. */
const SPELLINGS = [
  ...["167838211", "0xa010203", "0x0a.1.2.3", "012.1.2.3", "10.66051", "10.1.515", "10.1.2.3."],
  ...["2130706433", "017700000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1."],
] as const;
/** What else may look like an address of this machine. */
const ODD_FORMS = [
  ...["localhost", "localhost.", "a.localhost", "256.0.0.1", "1.2.3.4.5", "127.0.0.0x1.1"],
  ...["fe80::1%lo", "fe80::1%1", "::1%lo", "[::1]", "::ffff:0x7f.1", "１２７.0.0.1", "127。0。0。1"],
] as const;
/** Addresses with another one inside. */
const EMBEDDED = [
  ...["::ffff:10.1.2.3", "::ffff:7f00:1", "::10.1.2.3", "64:ff9b::10.1.2.3", "64:ff9b::7f00:1"],
  ...[
    "2002:0a01:0203::1",
    "64:ff9b:1::10.1.2.3",
    "2001:0:4136:e378:8000:63bf:f5fe:fdfc",
    "::ffff:0:10.1.2.3",
  ],
] as const;
const NAMES: Readonly<Record<string, readonly string[]>> = {
  "private.test": ["10.1.2.3"],
  "loop.test": ["127.0.0.1", "::1"],
  "metadata.test": ["169.254.169.254"],
  "mapped.test": ["::ffff:10.1.2.3"],
  "mix.test": ["10.1.2.3", "fd00::1", PUBLIC],
  "public.test": [PUBLIC, PUBLIC_6],
  "own.test": ["8.8.4.4"],
};
/** Public addresses of this machine: of its loopback interface, the network around it, and a device without carrier. */
const OWN = ["8.8.4.4", "8.8.4.9", "9.9.5.5", "2606:4700::5", "::ffff:8.8.4.4", "own.test"] as const;
const FLIPS = FULL ? 100 : 20;

if (isInside) {
  let directory = "";
  let port = 0;
  /** Local addresses of the connections that came, in order. */
  const reached: string[] = [];
  let queries = 0;
  const listeners: { stop(force: boolean): void }[] = [];

  // The second answer of `flip.test` is another one than the first, and so on: for whoever asks once to check and once
  // to connect.
  const zone: Zone = (name, type) => {
    if (name !== "flip.test") return NAMES[name];
    if (type === "AAAA") return [];
    queries += 1;
    return [queries % 2 === 1 ? PUBLIC : "10.1.2.3"];
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "rvpn-policy-"));
    const file = join(directory, "resolv.conf");
    writeFileSync(file, "nameserver 127.0.0.1\noptions attempts:1\n");
    sh(`
      ip link set lo up
      ip route add local 0.0.0.0/0 dev lo
      ip -6 route add local ::/0 dev lo
      ip addr add 8.8.4.4/24 dev lo
      ip tuntap add dev t0 mode tun
      ip addr add 9.9.5.5/32 dev t0
      ip addr add 2606:4700::5/128 dev t0 nodad
      ip link set t0 up
      mount --bind ${file} /etc/resolv.conf
    `);
    for (const hostname of ["0.0.0.0", "::"]) {
      const listener = Bun.listen({
        hostname,
        port,
        ...(hostname === "::" ? { ipv6Only: true } : {}),
        socket: {
          open: (socket) => void reached.push(socket.localAddress),
          data: (socket) =>
            void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
          error: () => {},
        },
      });
      port = listener.port;
      listeners.push(listener);
    }
    await startNameServer(zone);
  });
  afterAll(() => {
    for (const listener of listeners) listener.stop(true);
    sh("umount /etc/resolv.conf");
    rmSync(directory, { recursive: true });
  });

  describeWith(programsFor("direct"), "by default", () => {
    const it = useWorld({ route: "direct", serverArgs: ["--log-level", "debug"] });
    it("an ordinary address and name are reached, in every way", async (world) => {
      for (const host of [PUBLIC, PUBLIC_6, "public.test"]) await expectConnected(world, host, port, reached);
    });
    it("every special range is denied, in every way, and the log names the rule", async (world) => {
      for (const { prefix } of SPECIAL_RANGES)
        for (const host of insideOf(prefix)) await expectDenied(world, host, port, reached);
      expect(world.server.child.output()).toMatch(/denied by 10\.0\.0\.0\/8|rule=.*10\.0\.0\.0\/8/);
    });
    it("every address of this machine is denied, public as it may be, and the log names it", async (world) => {
      for (const host of OWN) await expectDenied(world, host, port, reached);
      expect(world.server.child.output()).toContain("denied by 9.9.5.5/32 (this machine)");
    });
    it("addresses that hold a special one are denied", async (world) => {
      for (const host of EMBEDDED) await expectDenied(world, host, port, reached);
    });
    it("decimal, hexadecimal, octal and short forms of IPv4 are denied as what they stand for", async (world) => {
      for (const host of SPELLINGS) await expectDenied(world, host, port, reached);
    });
    it("no odd form of an address gets around it", async (world) => {
      for (const host of ODD_FORMS) await expectUnreached(world, host, port, reached);
    });
    it("names that lead into special ranges are denied", async (world) => {
      for (const host of ["private.test", "loop.test", "metadata.test", "mapped.test"])
        await expectDenied(world, host, port, reached);
    });
    it("of a name with addresses of both kinds only the ordinary one is reached", async (world) => {
      await expectConnected(world, "mix.test", port, reached);
    });
    it("a name whose answers change between check and connect is connected where it was checked", async (world) => {
      const verdicts: (Verdict | undefined)[] = [];
      const before = reached.length;
      for (let round = 0; round < FLIPS; round++)
        verdicts.push(await askProxy(world.client.port, "socks5 name", "flip.test", port));
      expect(new Set(reached.slice(before))).toEqual(new Set([PUBLIC]));
      expect(new Set(verdicts)).toEqual(new Set<Verdict>(["connected", "denied"]));
      expect(queries).toBe(FLIPS);
    });
  });

  const OPENED = [
    "10.0.0.0/8",
    "127.0.0.1",
    "169.254.169.254",
    "fd00::/8",
    "::1",
    "100.64.0.0/10",
    "198.51.100.0/24",
    "8.8.4.4",
    "9.9.5.0/24",
  ];
  describeWith(programsFor("direct"), "with --allow", () => {
    const it = useWorld({ route: "direct", serverArgs: OPENED.flatMap((range) => ["--allow", range]) });
    it("the range is reached in every way, as an address, a name and inside another address", async (world) => {
      const hosts = [
        "10.1.2.3",
        "127.0.0.1",
        "169.254.169.254",
        "fd00::1",
        "::1",
        "100.64.0.1",
        "198.51.100.7",
      ];
      for (const host of [
        ...hosts,
        ...SPELLINGS,
        "private.test",
        "loop.test",
        "metadata.test",
        "::ffff:10.1.2.3",
        "8.8.4.4",
        "9.9.5.5",
        "own.test",
      ])
        await expectConnected(world, host, port, reached);
    });
    it("what lies beside it stays denied", async (world) => {
      for (const host of [
        "127.0.0.2",
        "169.254.169.253",
        "fe80::1",
        "192.168.0.1",
        "172.16.0.1",
        "0.0.0.0",
        "::",
        "8.8.4.9",
      ])
        await expectDenied(world, host, port, reached);
    });
  });

  const PORTS = ["--allow", "10.0.0.0/8:1-1023", "--deny", `${PUBLIC}/32:1-65535`];
  describeWith(programsFor("direct"), "with ports and --deny", () => {
    const it = useWorld({ route: "direct", serverArgs: PORTS });
    it("the port counts, and the operator's own denial", async (world) => {
      await expectDenied(world, "10.1.2.3", port, reached);
      await expectDenied(world, PUBLIC, port, reached);
      await expectConnected(world, PUBLIC_6, port, reached);
    });
  });
}

async function expectConnected(world: World, host: string, port: number, reached: string[]): Promise<void> {
  for (const way of WAYS) {
    const before = reached.length;
    const verdict = await askProxy(world.client.port, way, host, port);
    if (verdict === undefined) continue;
    expect([way, host, verdict]).toEqual([way, host, "connected"]);
    // A connection that is used again is not told of anew.
    if (way === "http") continue;
    // The answer may overtake the news of the connection, which is made before either.
    for (let left = 100; left > 0 && reached.length === before; left--) await Bun.sleep(10);
    expect([way, host, reached.length > before]).toEqual([way, host, true]);
  }
}

/** Refused with the code for it, and nobody was asked. */
async function expectDenied(world: World, host: string, port: number, reached: string[]): Promise<void> {
  const before = reached.length;
  for (const way of WAYS) {
    const verdict = await askProxy(world.client.port, way, host, port);
    if (verdict !== undefined) expect([way, host, verdict]).toEqual([way, host, denialOf(way)]);
  }
  expect([host, reached.slice(before)]).toEqual([host, []]);
}

/** Refused for whatever reason: as no address, as a name that there is not, or by the policy. */
async function expectUnreached(world: World, host: string, port: number, reached: string[]): Promise<void> {
  const before = reached.length;
  for (const way of WAYS) {
    const verdict = await askProxy(world.client.port, way, host, port);
    expect([way, host, verdict]).not.toEqual([way, host, "connected"]);
  }
  expect([host, reached.slice(before)]).toEqual([host, []]);
}

function denialOf(way: Way): Verdict {
  return way === "socks4a" ? "failed 91" : "denied";
}

/** The first and the last address of a range. */
function insideOf(prefix: string): string[] {
  const [text = "", bits = ""] = prefix.split("/");
  const first = parseIp(text);
  if (first === undefined) throw new Error(`no address in ${prefix}`);
  const last = Uint8Array.from(first);
  for (let bit = Number(bits); bit < first.length * 8; bit++)
    last[bit >> 3] = (last[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return [...new Set([formatIp(first), formatIp(last)])];
}
