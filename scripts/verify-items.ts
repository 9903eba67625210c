import { bun } from "./tools.ts";

/** One promise and the command that shows it at full size. */
export interface Item {
  readonly name: string;
  /** The issue that asks for it, and which of its points; several with ", " between them. */
  readonly of: string;
  readonly shows: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const FULL = { RVPN_FULL: "1" };

/**
 * `bun test` of these files. Full sizes take long, so the limit per test is generous. A path that does not exist fails
 * instead of selecting nothing: "./" makes a path of what would else be a part of a name.
 */
function tests(...files: readonly string[]): readonly string[] {
  return [bun, "test", "--timeout", "900000", ...files.map((file) => `./${file}`)];
}

/** An end-to-end test at full size. */
function e2e(name: string, of: string, shows: string, ...files: readonly string[]): Item {
  const paths = files.map((file) => `tests/e2e/${file}.test.ts`);
  return { name, of, shows, command: tests(...paths), env: FULL };
}

/** Tests of the benchmark; fails where a promise is not kept. */
function bench(name: string, of: string, shows: string, ...cases: readonly string[]): Item {
  return { name, of, shows, command: [bun, "bench/run.ts", "--strict", "--only", cases.join(",")] };
}

/** Issue 2: the tunnel, end to end. */
const TUNNEL: readonly Item[] = [
  {
    name: "demo",
    of: "2.1",
    shows: "a clean start: 100 MB through SOCKS5 and HTTP, equal hashes",
    command: [bun, "scripts/demo.ts"],
  },
  {
    name: "unit",
    of: "2.1",
    shows: "every test but end to end and simulator",
    command: tests(
      "tests/bench",
      "tests/cli",
      "tests/client",
      "tests/docs",
      "tests/fuzz",
      "tests/server",
      "tests/runtime",
      "tests/proto",
      "tests/support",
    ),
  },
  e2e("protocols", "2.2", "SOCKS5 and names, SOCKS4a, CONNECT, plain HTTP, IPv6", "curl-protocols"),
  e2e("transfers", "2.2", "1 GB each way, equal hashes; 200 transfers at once", "transfers"),
  e2e("streams", "2.2", "slow and never-reading targets, half-close, resets", "streams"),
  e2e("failures", "2.2", "refused, unknown and unreachable targets", "failures", "failures.netns"),
  e2e("ssh", "2.2", "ssh and scp through ProxyCommand", "ssh"),
  e2e("chromium", "2.2", "a page of 300 resources in a real browser", "chromium"),
  e2e("caddy", "2.2", "Caddyfile.example as it stands", "caddy"),
  e2e(
    "admission",
    "2.3",
    "uninvited, revoked, used-up, wrong server, tampered; what a prober sees",
    "admission",
    "tampering",
    "gate",
  ),
  e2e(
    "behaviour",
    "2.3",
    "commands, ends of processes, garbage on every port, nothing left behind",
    "commands",
    "shutdown",
    "robustness",
    "leftovers",
  ),
  {
    name: "vectors",
    of: "2.4",
    shows: "RFC, NIST and Wycheproof cases; handshake, ratchet, packets, frames, good and bad",
    command: tests(
      "tests/proto/vectors.test.ts",
      "tests/proto/vectors-handshake.test.ts",
      "tests/proto/vectors-frames.test.ts",
      "tests/proto/crypto/primitives.test.ts",
      "tests/proto/crypto/aead.test.ts",
      "tests/proto/crypto/x25519.test.ts",
      "tests/proto/crypto/ed25519.test.ts",
      "tests/proto/crypto/kem.test.ts",
    ),
  },
  {
    name: "fuzz",
    of: "2.4",
    shows: "a million inputs at each decoder, and the same answer for every split",
    command: tests(
      "tests/proto/frame-codec.fuzz.test.ts",
      "tests/proto/text.fuzz.test.ts",
      "tests/proto/crypto/bundle.test.ts",
      "tests/client/proxy/fuzz.test.ts",
      "tests/client/proxy/http-response.fuzz.test.ts",
    ),
    env: { FUZZ_ITERATIONS: "1000000" },
  },
  {
    name: "handshakes",
    of: "2.4",
    shows: "100,000 mutated messages at each end of the handshake",
    command: tests("tests/proto/handshake-refusals.test.ts"),
    env: { HANDSHAKE_FUZZ_ITERATIONS: "100000" },
  },
  {
    name: "ratchet",
    of: "2.5",
    shows: "10,000 packets, over 100 DH steps each way, no state from forgeries",
    command: tests(
      "tests/proto/crypto/ratchet.test.ts",
      "tests/proto/crypto/ratchet-policy.test.ts",
      "tests/proto/crypto/ratchet-skip.test.ts",
      "tests/proto/crypto/ratchet-stress.test.ts",
    ),
  },
  e2e("bandwidth", "2.6", "100 MB cost at most 100.1 MB, and 0.1 MB back", "bandwidth"),
  {
    name: "tidy",
    of: "2.8",
    shows: "import rules, forbidden names, sizes",
    command: tests("tests/tidy.test.ts"),
  },
  { name: "check", of: "2.1", shows: "types and lint", command: [bun, "run", "check"] },
];

/** Issue 3: nothing lost. */
const NOTHING_LOST: readonly Item[] = [
  {
    name: "sim",
    of: "3.1",
    shows: "the simulator over 10,000 seeds",
    command: [bun, "run", "sim", "--seeds", "10000"],
  },
  {
    name: "sim-broken",
    of: "3.1",
    shows: "deliberately broken variants, which the simulator notices",
    command: tests("tests/sim"),
  },
  e2e("chaos-bulk", "3.2", "1 GB down and up at once under 100 random cuts", "chaos-bulk"),
  e2e("chaos-parallel", "3.2", "50 downloads of 10 MB under 100 random cuts", "chaos-parallel"),
  e2e("chaos-ssh", "3.2", "an interactive ssh session lives through 100 random cuts", "chaos-ssh"),
  e2e("caddy-restart", "3.3", "ten reloads of Caddy, SIGKILL and restart: nothing lost", "caddy-restart"),
  e2e("freeze", "3.3", "SIGSTOP of server and client for 20 s: nothing lost", "freeze"),
  e2e("reconnect", "3.4", "a killed server: first page within 2 s, median of 20", "reconnect"),
  e2e("blackhole", "3.5", "a dead path is noticed in 10 s, idle in 35 s, and left", "blackhole"),
  e2e("vanish", "3.6", "1,000 clients vanish under load: counters zero, memory back", "vanish"),
  e2e(
    "never-read",
    "3.6, 4.7",
    "one stream finishes beside 1,000 that are never read, and memory stays within the budget",
    "never-read",
  ),
];

/** Issue 5: strangers stay out and learn nothing. */
const STRANGERS: readonly Item[] = [
  e2e("probes", "5.1", "over 100 probes and 2,000 samples of time of each kind learn nothing", "probes"),
  e2e("site", "5.1", "the web site beside Caddy's own file server", "site"),
  e2e("flood", "5.2", "20,000 garbage handshakes and 2,000 idle sockets beside a working client", "flood"),
  e2e(
    "rotation",
    "5.6",
    "a new server identity: followed by links old and new, 5 where it must be, no way back",
    "rotation",
  ),
  e2e(
    "secrets",
    "5.6",
    "modes of files, arguments, environment, logs; a copy of the server's state lets nobody in",
    "secrets",
  ),
  e2e(
    "weak-points",
    "5.3",
    "who is asked for names; a server without descriptors",
    "names.netns",
    "descriptors",
  ),
  e2e(
    "policy",
    "5.4",
    "every special range and spelling over SOCKS, HTTP and names, where all can be reached",
    "policy.netns",
  ),
  e2e("replay", "5.5", "sessions, first messages and packets said again, there and elsewhere", "replay"),
  {
    name: "fuzz-time",
    of: "5.7",
    shows: "ten minutes over every reader of foreign bytes, from the gate to the state files",
    command: tests("tests/fuzz"),
    env: { FUZZ_SECONDS: "600" },
  },
  e2e("prekeys", "5.6", "10,000 links: every prekey distinct, none on the disk", "prekeys"),
];

/** Issue 4: fast. The benchmark's own promises decide (bench/lib/promises.ts). */
const FAST: readonly Item[] = [
  bench(
    "speed",
    "2.7, 4.1",
    "one stream of 1 GB, down and up, beside curl direct and every peer",
    "throughput",
  ),
  bench("cost", "4.2", "what sealing, keeping and acknowledging cost", "cost"),
  bench("at-once", "4.3", "64 transfers beside one, both directions beside one", "concurrency", "duplex"),
  bench("connections", "4.4", "new connections a second", "connections"),
  bench(
    "paths",
    "4.4, 4.5, 4.6",
    "paths of 50 to 200 ms and a slow one: first byte, one stream, echo",
    "rtt",
  ),
  bench("latency", "4.5", "echo alone and beside transfers, equal shares", "latency", "fairness"),
  bench("idle", "4.7", "memory of 10,000 streams and of 1,000 clients", "idle"),
  bench("handshake-rate", "4.8", "handshakes per second, and what a stranger costs", "handshakes"),
  bench("startup", "4.9", "start-up beside an empty Bun program", "startup"),
  e2e(
    "pool",
    "4.10",
    "50 requests over at most 3 origin connections; 50 TLS connections at 50 ms save the connect",
    "pool-http",
    "pool-ahead.netns",
    "keep-alive",
  ),
  e2e("soak", "4.11", "15 minutes of mixed load: memory flat, no descriptor more, nothing lost", "soak"),
  bench(
    "pages",
    "4.10",
    "a page of 300 resources in Chromium, and what the pool saves, beside direct",
    "pool",
  ),
];

export const ITEMS: readonly Item[] = [...TUNNEL, ...NOTHING_LOST, ...FAST, ...STRANGERS];
