import { expect, test } from "bun:test";
import { join } from "node:path";
import { canIsolate, isInside, runInside, sh } from "../server/netns.ts";
import { ASSETS } from "./origin/page.ts";
import { describeWith, findProgram, programsFor, ROUTES, TEST_MS } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/**
 * A browser wants to reach its maker whatever its flags say. Here it cannot: these tests run in a network of their own,
 * in which there is only loopback, the server permits nothing else, and Chromium resolves no name.
 */
const LOOPBACK_ONLY = ["--deny", "0.0.0.0/0", "--deny", "::/0", "--allow", "127.0.0.0/8"];
const CHROMIUM = findProgram("chromium") === undefined ? "chromium-browser" : "chromium";
/** The scripts and style sheets alone are more. */
const PAGE_BYTES = 500_000;
const RUN_MS = 2 * ROUTES.length * TEST_MS;

test.skipIf(isInside || !canIsolate)("in a network of its own", () => runInside(import.meta.path), RUN_MS);

if (isInside) {
  sh("ip link set lo up");
  for (const route of ROUTES) {
    describeWith(programsFor(route, CHROMIUM), `chromium, ${route}`, () => {
      const it = useWorld({ route, serverArgs: LOOPBACK_ONLY });
      for (const scheme of ["socks5", "http"] as const)
        it(`loads a page of ${ASSETS} resources, proxy ${scheme}`, (world) => loadsPage(world, scheme));
      it("shows no page without the tunnel", needsTheTunnel);
    });
  }
}

async function loadsPage(world: World, scheme: "socks5" | "http"): Promise<void> {
  const { bytesDown: before } = await world.client.status();
  const ran = await browse(world, `${scheme}://${world.client.proxy}`, "/page");
  const third = ASSETS / 3;
  expect(titleOf(ran.stdout)).toBe(`${ASSETS} arrived, 0 failed, ${third} ran`);
  const seen = await fetch(world.origin.url("/assets-seen"));
  expect(await seen.json()).toEqual({ seen: ASSETS, of: ASSETS });
  const { bytesDown } = await world.client.status();
  expect(bytesDown - before).toBeGreaterThan(PAGE_BYTES);
  await world.client.awaitStatus(({ streams }) => streams === 0);
}

/** The same with a proxy port where nobody listens: it must be the tunnel that brings the page. */
async function needsTheTunnel(world: World): Promise<void> {
  const ran = await browse(world, "socks5://127.0.0.1:1", "/page");
  expect(titleOf(ran.stdout)).not.toContain("arrived");
}

function browse({ children, dir, origin }: World, proxy: string, path: string) {
  const flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-domain-reliability",
    "--no-pings",
    `--user-data-dir=${join(dir, "chromium")}`,
    `--proxy-server=${proxy}`,
    // Chromium goes around its proxy for loopback unless it is told not to.
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--timeout=30000",
    "--dump-dom",
  ];
  return children.run([CHROMIUM, ...flags, origin.url(path)], { limitMs: 50_000 });
}

function titleOf(dom: string): string {
  return /<title>(.*?)<\/title>/.exec(dom)?.[1] ?? `no title in ${dom.slice(0, 200)}`;
}
