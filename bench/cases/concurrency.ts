import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { HttpGetter } from "../lib/http-get.ts";
import { inParallel, within } from "../lib/pool.ts";
import type { Column, Results } from "../lib/results.ts";
import type { Running } from "../lib/running.ts";
import { type Route, Wire } from "../lib/wire.ts";

const MB = 1e6;
const CROWDS = [64, 512];
const TIMEOUT_MS = 90_000;
const QUICK_TIMEOUT_MS = 15_000;

const RESOURCES = 300;
/** What a browser opens to one host. */
const PAGE_CONNECTIONS = 6;
/** Sizes of a page's parts, over and over: icons, scripts, some pictures; 14 KB on average. */
const RESOURCE_SIZES = [500, 2_000, 1_200, 8_000, 25_000, 4_000, 60_000, 3_000, 18_000, 20_000];

const COLUMNS: readonly Column[] = [
  { key: "alone", title: "1 transfer", unit: "MB/s", ratio: true },
  ...CROWDS.flatMap((crowd) => [
    { key: `crowd-${crowd}`, title: `${crowd} transfers`, unit: "MB/s", ratio: true },
  ]),
  { key: "peakClient", title: "peak client", unit: "MB", plain: true },
  { key: "peakServer", title: "peak server", unit: "MB", plain: true },
  { key: "page", title: "page", unit: "ms", ratio: true },
];

/** Many streams at once: whether they cost each other anything. */
export const concurrency: Case = {
  name: "concurrency",
  summary: "64 and 512 parallel transfers, and a page of 300 resources",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const total = (bench.isQuick ? 40 : 500) * MB;
  const results = newResults(`concurrency: ${total / MB} MB in all, by the bench's own client`, COLUMNS);
  results.notes.push(
    `Peak memory with ${CROWDS.at(-1)} transfers. The page: ${RESOURCES} resources over ${PAGE_CONNECTIONS} connections.`,
  );
  await rounds(bench, {
    label: "concurrency",
    rounds: bench.isQuick ? 2 : 5,
    results: [results],
    measure: (running) => measureOne(bench, running, total, results),
  });
  return [results];
}

async function measureOne(bench: Bench, running: Running, total: number, results: Results): Promise<void> {
  const route = await running.route(bench.origin.http);
  const timeoutMs = bench.isQuick ? QUICK_TIMEOUT_MS : TIMEOUT_MS;
  const rateOf = (seconds: number) => total / MB / seconds;
  const alone = await running.measure(() => crowdOf(route, 1, total, timeoutMs));
  results.add(running.name, "alone", rateOf(alone.seconds));
  for (const crowd of CROWDS) {
    const { seconds, peakBytes } = await running.measure(() => crowdOf(route, crowd, total, timeoutMs));
    results.add(running.name, `crowd-${crowd}`, rateOf(seconds));
    if (crowd !== CROWDS.at(-1) || running.ends.client.length === 0) continue;
    results.add(running.name, "peakClient", peakBytes.client / MB);
    results.add(running.name, "peakServer", peakBytes.server / MB);
  }
  const page = await running.measure(() => loadPage(route, timeoutMs));
  results.add(running.name, "page", page.seconds * 1000);
}

/** So many transfers at once, which together bring `total` bytes. */
async function crowdOf(route: Route, crowd: number, total: number, timeoutMs: number): Promise<void> {
  const path = `/bytes/${Math.ceil(total / crowd)}`;
  const all = inParallel(crowd, crowd, async () => {
    const wire = await Wire.open(route);
    await new HttpGetter(wire).get(path);
    wire.end();
  });
  await within(`${crowd} transfers`, timeoutMs, all);
}

/** Fetches the page's resources as a browser does: over few connections, which are kept. */
async function loadPage(route: Route, timeoutMs: number): Promise<void> {
  let next = 0;
  const all = inParallel(PAGE_CONNECTIONS, PAGE_CONNECTIONS, async () => {
    const wire = await Wire.open(route);
    const getter = new HttpGetter(wire);
    while (next < RESOURCES) {
      const size = RESOURCE_SIZES[next % RESOURCE_SIZES.length] ?? 0;
      next += 1;
      await getter.get(`/bytes/${size}`);
    }
    wire.end();
  });
  await within("the page", timeoutMs, all);
}
