import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatIp, parseIp } from "../../src/runtime/address.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { ResolveError } from "../../src/server/resolver.ts";
import { createSystemResolver } from "../../src/server/system-resolver.ts";
import { canIsolate, isInside, runInside, sh } from "./netns.ts";

test.skipIf(isInside || !canIsolate)(
  "the system's resolver, with a name server of our own",
  () => runInside(import.meta.path),
  60_000,
);

/** What a server's client asks. */
function resolver(): (name: string) => Promise<Uint8Array[]> {
  const resolve = createSystemResolver(silentLog);
  return (name) => resolve(name, "client");
}

const LIVE = "127.0.0.1";
const DEAD = "127.0.0.9";

// Only the process inside has these: outside they would count as skipped.
if (isInside)
  describe("inside", () => {
    let directory = "";
    const useServer = (address: string): void =>
      writeFileSync(join(directory, "resolv.conf"), `nameserver ${address}\noptions attempts:1\n`);

    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), "rvpn-dns-"));
      useServer(DEAD);
      writeFileSync(join(directory, "hosts"), "10.5.5.5 two.hosts\nfd05::5 two.hosts\n127.0.0.1 localhost\n");
      sh(`
      ip link set lo up
      mount --bind ${join(directory, "resolv.conf")} /etc/resolv.conf
      mount --bind ${join(directory, "hosts")} /etc/hosts
    `);
      await serveNames(LIVE);
    });
    afterAll(() => {
      sh("umount /etc/resolv.conf; umount /etc/hosts");
      rmSync(directory, { recursive: true });
    });

    test("a dead name server is nameServerFailed, and its successor in resolv.conf is used without a restart", async () => {
      const resolve = resolver();
      expect(await Bun.dns.lookup("first.test", { backend: "c-ares" }).catch(() => "failed")).toBe("failed");
      useServer(LIVE);
      expect((await resolve("both.test")).map(formatIp).sort()).toEqual(["10.1.0.1", "10.1.0.2", "fd01::1"]);
    });

    test("no such name, and a name without addresses, are nameNotFound; a broken server is nameServerFailed", async () => {
      const resolve = resolver();
      const failureOf = async (name: string): Promise<unknown> =>
        resolve(name).catch((error: unknown) => (error instanceof ResolveError ? error.failure : error));
      expect(await failureOf("nx.test")).toBe("nameNotFound");
      expect(await failureOf("nodata.test")).toBe("nameNotFound");
      expect(await failureOf("servfail.test")).toBe("nameServerFailed");
    });

    test("the hosts file is read, with every address of a name", async () => {
      const addresses = await resolver()("two.hosts");
      expect(addresses.map(formatIp).sort()).toEqual(["10.5.5.5", "fd05::5"]);
    });

    test("inet_aton forms are names like any other, or addresses that can be judged", async () => {
      const resolve = resolver();
      for (const name of ["0x7f.1", "2130706433", "127.1", "0177.0.0.1"]) {
        const addresses = await resolve(name).catch(() => []);
        expect([name, addresses.map(formatIp)]).toEqual([name, name === "0177.0.0.1" ? ["177.0.0.1"] : []]);
      }
    });

    test("names that nobody answers for hold up neither other names nor WebCrypto", async () => {
      const resolve = resolver();
      // So many leave one of this client's share.
      const silent = Array.from({ length: 31 }, (_, index) => resolve(`silent${index}.test`).catch(() => []));
      await Bun.sleep(20);
      const start = performance.now();
      await Promise.all([resolve("v4.test"), crypto.subtle.digest("SHA-256", new Uint8Array(16))]);
      expect(performance.now() - start).toBeLessThan(1_000);
      await Promise.all(silent);
    }, 10_000);
  });

async function serveNames(hostname: string): Promise<void> {
  await Bun.udpSocket({
    hostname,
    port: 53,
    socket: {
      data(socket, query, port, from) {
        const answer = answerTo(query);
        if (answer !== undefined) socket.send(answer, port, from);
      },
    },
  });
}

const TYPE_A = 1;
const TYPE_AAAA = 28;

/** The answer of a name server (RFC 1035 section 4) that knows two names, and keeps silent about some. */
function answerTo(query: Uint8Array): Uint8Array | undefined {
  const labels: string[] = [];
  let offset = 12;
  for (let length = query[offset] ?? 0; length > 0; length = query[offset] ?? 0) {
    labels.push(new TextDecoder().decode(query.subarray(offset + 1, offset + 1 + length)));
    offset += 1 + length;
  }
  const type = ((query[offset + 1] ?? 0) << 8) | (query[offset + 2] ?? 0);
  const name = labels.join(".").toLowerCase();
  const known: Record<string, string[]> = {
    "both.test": ["10.1.0.1", "10.1.0.2", "fd01::1"],
    "v4.test": ["10.1.0.1"],
  };
  if (name.startsWith("silent")) return undefined;
  const texts = known[name] ?? [];
  const wanted = { [TYPE_A]: 4, [TYPE_AAAA]: 16 }[type];
  const records = texts
    .map((text) => parseIp(text) ?? new Uint8Array())
    .filter(({ length }) => length === wanted);
  const code = name === "servfail.test" ? 2 : texts.length > 0 || name === "nodata.test" ? 0 : 3;
  const head = [query[0] ?? 0, query[1] ?? 0, 0x81, 0x80 | code, 0, 1, 0, records.length, 0, 0, 0, 0];
  const body = records.flatMap((record) => [
    0xc0,
    0x0c,
    0,
    type,
    0,
    1,
    0,
    0,
    0,
    5,
    0,
    record.length,
    ...record,
  ]);
  return Uint8Array.from([...head, ...query.subarray(12, offset + 5), ...body]);
}
