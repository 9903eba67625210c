import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canIsolate, isInside, runInside, sh } from "../server/netns.ts";
import { curl, type ProxyKind, through } from "./support/curl.ts";
import { describeWith, programsFor, TEST_MS } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Only in a network of its own can a name server of ours stand in for all name servers of the machine. */
test.skipIf(isInside || !canIsolate)(
  "names, in a network of its own",
  () => runInside(import.meta.path),
  3 * TEST_MS,
);

/** How long the client is given to ask somebody for a name, while the server cannot. */
const SILENCE_MS = 700;
/** Ways in which an application can name its destination and leave looking it up to the proxy. */
const BY_NAME = ["socks5h", "socks4a", "connect", "http"] as const satisfies readonly ProxyKind[];

if (isInside) {
  /** Names that the machine's name server was asked for, with every query. */
  const asked: string[] = [];
  let directory = "";

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "rvpn-names-"));
    const file = join(directory, "resolv.conf");
    writeFileSync(file, "nameserver 127.0.0.1\noptions attempts:1\n");
    sh(`
      ip link set lo up
      mount --bind ${file} /etc/resolv.conf
    `);
    await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 53,
      socket: {
        data(socket, query, port, from) {
          socket.send(answer(query, asked), port, from);
        },
      },
    });
  });
  afterAll(() => {
    sh("umount /etc/resolv.conf");
    rmSync(directory, { recursive: true });
  });

  describeWith(programsFor("direct"), "a destination's name", () => {
    const it = useWorld({ route: "direct" });
    for (const kind of BY_NAME) {
      it(`given by ${kind} is asked for by the server alone`, (world) => asksAtTheServer(world, kind, asked));
    }
  });
}

async function asksAtTheServer(world: World, kind: ProxyKind, asked: string[]): Promise<void> {
  const name = `${kind}.test`;
  const queries = () => asked.filter((each) => each === name).length;
  // A stopped server asks nobody, so that whoever asks now is the client.
  world.server.child.signal("SIGSTOP");
  const fetched = curl(world, ...through(world, kind), `http://${name}:${world.origin.ports.http}/`);
  await Bun.sleep(SILENCE_MS);
  const byClient = queries();
  world.server.child.signal("SIGCONT");
  expect(await fetched).toMatchObject({ exitCode: 0, stdout: "origin\n" });
  expect(byClient).toBe(0);
  // Else the test could not fail: our name server was the one to be asked.
  expect(queries()).toBeGreaterThan(0);
}

/** A name server's answer (RFC 1035 section 4): 127.0.0.1 for every name, and no IPv6. */
function answer(query: Uint8Array, asked: string[]): Uint8Array {
  const labels: string[] = [];
  let offset = 12;
  for (let length = query[offset] ?? 0; length > 0; length = query[offset] ?? 0) {
    labels.push(new TextDecoder().decode(query.subarray(offset + 1, offset + 1 + length)));
    offset += 1 + length;
  }
  asked.push(labels.join(".").toLowerCase());
  const isA = query[offset + 2] === 1;
  const head = [query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0];
  const record = isA ? [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1] : [];
  return Uint8Array.from([...head, ...query.subarray(12, offset + 5), ...record]);
}
