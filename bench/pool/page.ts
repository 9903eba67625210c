import { join } from "node:path";
import type { Processes } from "../lib/processes.ts";
import type { Running } from "../lib/running.ts";
import type { Figure } from "./inside.ts";

export interface Inside {
  readonly processes: Processes;
  readonly directory: string;
  readonly isQuick: boolean;
}

const RESOURCES = 300;
/** Sizes of a page's parts, over and over: icons, scripts, some pictures; 14 KB on average. */
const SIZES = [500, 2_000, 1_200, 8_000, 25_000, 4_000, 60_000, 3_000, 18_000, 20_000];

/** Its title says how many scripts ran, and ms from the start of navigation to the end of the last. */
const PAGE = `<!doctype html><html><head><title>loading</title><link rel="icon" href="data:,"><script>var ran = 0;
addEventListener("load", () => { document.title = ran + " ran, " + performance.now() + " ms"; });</script></head>
<body>${Array.from({ length: RESOURCES }, (_, n) => `<script async src="/${n}.js"></script>`).join("\n")}</body></html>`;

/** Loads the page in turn, a fresh browser each time. */
export async function measurePage(contestants: readonly Running[], inside: Inside): Promise<Figure[]> {
  const web = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => {
      const [, number] = /\/(\d+)\.js$/.exec(url) ?? [];
      if (number === undefined) return new Response(PAGE, { headers: { "content-type": "text/html" } });
      const size = SIZES[Number(number) % SIZES.length] ?? 0;
      return new Response(`ran++; //${"x".repeat(size)}`, { headers: { "content-type": "text/javascript" } });
    },
  });
  const figures: Figure[] = [];
  const url = `http://127.0.0.1:${web.port}/`;
  // The first of each is not counted: the browser's own files come from the disk then.
  for (let round = -1; round < (inside.isQuick ? 3 : 9); round += 1)
    for (const [way, proxy] of contestants.flatMap(waysOf)) {
      const value = await load(inside, url, proxy);
      if (round >= 0) figures.push({ name: way, key: "page", value });
    }
  await web.stop(true);
  return figures;
}

/** Through SOCKS the browser keeps its connections itself; through the HTTP proxy the pool does. */
function waysOf({ name, ends: { socksPort } }: Running): [way: string, proxy: string][] {
  if (socksPort === undefined) return [[name, "direct://"]];
  return ["socks5", "http"].map((scheme) => [
    `${name}, ${scheme}`.replace(", socks5", ""),
    `${scheme}://127.0.0.1:${socksPort}`,
  ]);
}

async function load({ processes, directory }: Inside, url: string, proxy: string): Promise<number> {
  const dom = await processes.capture([
    ...[
      "chromium",
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-dev-shm-usage",
    ],
    ...["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    ...["--disable-domain-reliability", "--no-pings", `--user-data-dir=${join(directory, "chromium")}`],
    // Chromium goes around its proxy for loopback unless it is told not to.
    ...[`--proxy-server=${proxy}`, "--proxy-bypass-list=<-loopback>"],
    ...["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--disk-cache-size=1"],
    ...["--timeout=30000", "--dump-dom", url],
  ]);
  const [, ran, ms] = /<title>(\d+) ran, ([\d.]+) ms<\/title>/.exec(dom) ?? [];
  if (Number(ran) !== RESOURCES) throw new Error(`the page did not load through ${proxy}`);
  return Number(ms);
}
