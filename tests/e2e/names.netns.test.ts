import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canIsolate, isInside, runInside, sh } from "../server/netns.ts";
import { curl, type ProxyKind, through } from "./support/curl.ts";
import { startNameServer } from "./support/name-server.ts";
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
    await startNameServer((name, type) => {
      asked.push(name);
      return type === "A" ? ["127.0.0.1"] : [];
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
