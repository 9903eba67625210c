import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeGateToken, parseLink } from "../../src/proto/index.ts";
import { kolmogorovSmirnov } from "./support/ks.ts";
import { type Probe, strangersProbes, type Tokens, tokenProbes, WEBSOCKET } from "./support/probes.ts";
import { exchange, RawConnection } from "./support/raw-http.ts";
import { ALLOW_LOOPBACK } from "./support/rvpn.ts";
import { describeWith, programsFor, ROUTES, SIZES } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Connections at once: many enough to be quick, few enough not to disturb what is slow on purpose. */
const AT_ONCE = 12;
const LEAST_PROBES = 60;
const ROUNDS = 3;
const SIGNIFICANCE = 0.01;
/** Requests of each kind before the samples: the first ones meet code that is not compiled for them yet. */
const WARM_UP = 200;

const site = mkdtempSync(join(tmpdir(), "rvpn-probed-"));
mkdirSync(join(site, "sub"));
writeFileSync(join(site, "index.html"), "<!doctype html><title>Home</title>");
writeFileSync(join(site, "sub/index.html"), "<!doctype html><title>Sub</title>");
writeFileSync(join(site, "style.css"), "body { margin: 0 }");
writeFileSync(join(site, ".env"), "SECRET=1");
afterAll(() => rmSync(site, { recursive: true, force: true }));

for (const route of ROUTES) {
  for (const [name, args] of [
    ["a directory", ["--decoy", site]],
    ["the built-in site", []],
  ] as const) {
    describeWith(programsFor(route), `a prober, ${route}, ${name}`, () => {
      const it = useWorld({ route, serverArgs: [...ALLOW_LOOPBACK, ...args] });
      it("sees no difference between an upgrade and the same request without it", probeAll);
      it("would see one if a token were valid", opens);
      it("learns nothing from the time", times, SIZES.timingMs);
    });
  }
}

async function tokensOf(world: World): Promise<Tokens> {
  const { gateKey } = parseLink(await world.server.invite(crypto.randomUUID()));
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const valid = () => makeGateToken(gateKey, random);
  const used = valid();
  expect((await open(world, used)).text).toStartWith("HTTP/1.1 101 ");
  return { valid, used, wrong: makeGateToken(random(32), random) };
}

function open(world: World, token: string) {
  return exchange(world, [
    ["GET / HTTP/1.1", "Host: localhost", ...WEBSOCKET, `Cookie: sid=${token}`, "", ""].join("\r\n"),
  ]);
}

async function probeAll(world: World): Promise<void> {
  const tokens = await tokensOf(world);
  const probes = [
    ...strangersProbes(tokens.wrong, { patient: SIZES.patient, route: world.route }),
    ...tokenProbes(tokens),
  ];
  expect(probes.length).toBeGreaterThanOrEqual(LEAST_PROBES);
  const different: string[] = [];
  const waiting = [...probes];
  const worker = async () => {
    for (let probe = waiting.shift(); probe !== undefined; probe = waiting.shift()) {
      const difference = await compare(world, probe);
      if (difference !== undefined) different.push(difference);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  expect(different).toEqual([]);
}

async function compare(world: World, { name, headers, shape }: Probe): Promise<string | undefined> {
  const [probed, plain] = await Promise.all([exchange(world, shape(headers)), exchange(world, shape([]))]);
  if (probed.text === plain.text && probed.end === plain.end) return undefined;
  return `${name}:\n${probed.end} ${probed.text}\n--- instead of\n${plain.end} ${plain.text}`;
}

async function opens(world: World): Promise<void> {
  const tokens = await tokensOf(world);
  expect((await open(world, tokens.valid())).text).toStartWith("HTTP/1.1 101 ");
}

/** What a stranger may try, and the plain request for the same path. */
interface Timed {
  readonly name: string;
  readonly probe: string;
  readonly ordinary: string;
}

const GARBAGE = [
  "Connection: Upgrade",
  "Upgrade: \x80ebsocket",
  "Sec-WebSocket-Version: -1",
  `Sec-WebSocket-Key: ${"!".repeat(24)}`,
];

/**
 * The same values under names that mean nothing, of the same length in all: a longer head, or one that is not ASCII, takes
 * longer on any server.
 */
function plainOf(request: string): string {
  return request
    .replace(/^Connection:/m, "Connexion:")
    .replace(/^Upgrade:/m, "Upglade:")
    .replace(/^Sec-WebSocket-Version:/m, "Sec-WebStorage-Version:")
    .replace(/^Sec-WebSocket-Key:/m, "Sec-WebStorag-Key:")
    .replace("sid=", "sod=");
}

function timed({ used, wrong }: Omit<Tokens, "valid">): readonly Timed[] {
  const kind = (name: string, path: string, headers: readonly string[], cookie: string): Timed => {
    const head = [`GET ${path} HTTP/1.1`, "Host: localhost", ...headers, `Cookie: ${cookie}`];
    const probe = [...head, "", ""].join("\r\n");
    return { name, probe, ordinary: plainOf(probe) };
  };
  return [
    kind("a wrong token", "/", WEBSOCKET, `sid=${wrong}`),
    kind("a used token", "/", WEBSOCKET, `sid=${used}`),
    kind("no token", "/", WEBSOCKET, `sod=${wrong}`),
    kind("a garbage upgrade", "/", GARBAGE, `sid=${"\xff".repeat(wrong.length)}`),
    kind("a wrong path", "/missing", WEBSOCKET, `sid=${wrong}`),
  ];
}

/** Each kind of refused upgrade against its plain request. */
async function times(world: World): Promise<void> {
  for (const each of timed(await tokensOf(world))) {
    const results: number[] = [];
    while (results.length < ROUNDS && (results.at(-1) ?? 0) <= SIGNIFICANCE) {
      results.push(await timeBoth(world, each));
    }
    process.stderr.write(
      `timing, ${world.route}, ${each.name}: p ${results.map((p) => p.toFixed(3)).join(", ")}\n`,
    );
    expect(results.at(-1), `${each.name}: ${results.join(", ")}`).toBeGreaterThan(SIGNIFICANCE);
  }
}

test("what is timed against each other is of one length and one number of headers", () => {
  for (const { name, probe, ordinary } of timed({ used: "U".repeat(43), wrong: "W".repeat(43) })) {
    const sizes = [probe, ordinary].map((text) => [text.length, text.split("\r\n").length]);
    expect([name, sizes[1]]).toEqual([name, sizes[0]]);
    expect(ordinary).not.toMatch(/^(?:Connection|Upgrade|Sec-WebSocket-\w+):|sid=/m);
  }
});

/** Sends both by turns over one connection, each first as often as the other. Returns p. */
async function timeBoth(world: World, { probe, ordinary }: Timed): Promise<number> {
  const raw = await RawConnection.open(world);
  const samples: [number[], number[]] = [[], []];
  try {
    for (let index = -WARM_UP; index < SIZES.timingSamples; index++) {
      for (const kind of Math.random() < 0.5 ? ([0, 1] as const) : ([1, 0] as const)) {
        const started = performance.now();
        raw.send(kind === 0 ? probe : ordinary);
        const answer = await raw.next();
        const ms = performance.now() - started;
        if (!/^HTTP\/1\.1 (?:200|404) /.test(answer))
          throw new Error(`the site said ${JSON.stringify(answer)}`);
        if (index >= 0) samples[kind].push(ms);
      }
    }
  } finally {
    raw.end();
  }
  return kolmogorovSmirnov(...samples);
}

test("the test of the times can tell two distributions apart, and only then", () => {
  const normal = (mean: number) =>
    Array.from({ length: 2_000 }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
      return mean + radius * Math.cos(2 * Math.PI * Math.random());
    });
  expect(kolmogorovSmirnov(normal(0), normal(0.3))).toBeLessThan(0.001);
  const same = Array.from({ length: 40 }, () => kolmogorovSmirnov(normal(0), normal(0)));
  expect(same.filter((p) => p > 0.05).length).toBeGreaterThan(30);
});
