import type { Results } from "./results.ts";
import { median } from "./stats.ts";

/** What the project promises of its speed, as a figure of one run and its bound. */
interface Promised {
  /** The issue and its point. */
  readonly of: string;
  /** Whose tables have the figure. */
  readonly test: string;
  readonly says: string;
  /** NaN where the run had no such table or contestant. */
  readonly figure: (tables: Tables) => number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** What became of a promise in one run; `missing`: the run has no figure for it. */
export interface Verdict {
  readonly of: string;
  readonly test: string;
  readonly says: string;
  readonly figure: number;
  readonly bound: string;
  readonly outcome: "kept" | "short" | "missing";
}

const GCM = "ssh -D gcm";
const PEERS = ["ssh -D", GCM, "shadowsocks", "v2ray vmess+ws", "chisel", "wstunnel"];
const DOWN = "throughput, download";
const UP = "throughput, upload";
const GB = "rate-1000000000";
const FAR = "rtt: 100 ms";
const SLOW = "rtt: 50 ms, 20 Mbit/s";

/** Medians of the tables of a run, each named by the beginning of its title. */
class Tables {
  readonly #tables: readonly Results[];

  constructor(tables: readonly Results[]) {
    this.#tables = tables;
  }

  of(title: string, key: string, row = "rvpn"): number {
    const table = this.#tables.find((one) => one.title.startsWith(title));
    return median(table?.rows.find(({ name }) => name === row)?.values.get(key) ?? []);
  }

  /** rvpn's figure as a multiple of another row's. */
  times(title: string, key: string, row: string): number {
    return this.of(title, key) / this.of(title, key, row);
  }

  /** … of the fastest peer that took part. */
  timesBest(title: string, key: string): number {
    const figures = PEERS.map((peer) => this.of(title, key, peer)).filter((figure) => !Number.isNaN(figure));
    return figures.length === 0 ? Number.NaN : this.of(title, key) / Math.max(...figures);
  }
}

const PROMISES: readonly Promised[] = [
  {
    of: "4.1",
    test: "throughput",
    says: "1 GB down, × ssh -D gcm",
    figure: (t) => t.times(DOWN, GB, GCM),
    atLeast: 1.2,
  },
  {
    of: "4.1",
    test: "throughput",
    says: "1 GB down, × ssh -D",
    figure: (t) => t.times(DOWN, GB, "ssh -D"),
    atLeast: 1.5,
  },
  {
    of: "4.1",
    test: "throughput",
    says: "1 GB down, × shadowsocks",
    figure: (t) => t.times(DOWN, GB, "shadowsocks"),
    atLeast: 1.4,
  },
  {
    of: "4.1",
    test: "throughput",
    says: "1 GB up, × the fastest peer",
    figure: (t) => t.timesBest(UP, GB),
    atLeast: 1.05,
  },
  {
    of: "4.1",
    test: "throughput",
    says: "CPU down, × ssh -D gcm",
    figure: (t) => t.times(DOWN, "cpu", GCM),
    atMost: 0.85,
  },
  {
    of: "4.1",
    test: "throughput",
    says: "CPU up, × ssh -D gcm",
    figure: (t) => t.times(UP, "cpu", GCM),
    atMost: 0.85,
  },
  ...cost("sealing", 0.7),
  ...cost("retention and acks, in the floor", 0.2),
  {
    of: "4.3",
    test: "concurrency",
    says: "64 transfers, × one",
    figure: (t) => t.of("concurrency", "crowd-64") / t.of("concurrency", "alone"),
    atLeast: 1,
  },
  {
    of: "4.3",
    test: "duplex",
    says: "both directions, × one",
    figure: (t) => t.of("duplex", "share"),
    atLeast: 0.95,
  },
  {
    of: "4.4",
    test: "connections",
    says: "new connections, × ssh -D gcm",
    figure: (t) => t.times("connections", "rate", GCM),
    atLeast: 2,
  },
  {
    of: "4.4",
    test: "connections",
    says: "new connections, × v2ray",
    figure: (t) => t.times("connections", "rate", "v2ray vmess+ws"),
    atLeast: 2,
  },
  {
    of: "4.4",
    test: "rtt",
    says: "first byte over 100 ms, round trips",
    figure: (t) => t.of(FAR, "trips"),
    atMost: 2.1,
  },
  {
    of: "4.5",
    test: "latency",
    says: "echo above direct, ms",
    figure: (t) => t.of("latency", "echo") - t.of("latency", "echo", "direct"),
    atMost: 0.3,
  },
  {
    of: "4.5",
    test: "latency",
    says: "echo p99 beside 100 MB/s above idle, ms",
    figure: (t) => t.of("latency", "besideTail") - t.of("latency", "echoTail"),
    atMost: 5,
  },
  {
    of: "4.5",
    test: "rtt",
    says: "echo p99 on 20 Mbit/s above alone, ms",
    figure: (t) => t.of(SLOW, "besideTail") - t.of(SLOW, "idle"),
    atMost: 30,
  },
  {
    of: "4.5",
    test: "fairness",
    says: "Jain's index at full speed",
    figure: (t) => t.of("fairness: 8 equal downloads at", "jain"),
    atLeast: 0.95,
  },
  {
    of: "4.5",
    test: "fairness",
    says: "Jain's index on 20 Mbit/s",
    figure: (t) => t.of("fairness: 8 equal downloads over", "jain"),
    atLeast: 0.95,
  },
  {
    of: "4.6",
    test: "rtt",
    says: "one stream over 100 ms, Mbit/s",
    figure: (t) => t.of(FAR, "stream"),
    atLeast: 400,
  },
  {
    of: "4.7",
    test: "idle",
    says: "10,000 idle streams, client MB",
    figure: (t) => t.of("idle: 10000 open", "client"),
    atMost: 100,
  },
  {
    of: "4.7",
    test: "idle",
    says: "10,000 idle streams, server MB",
    figure: (t) => t.of("idle: 10000 open", "server"),
    atMost: 100,
  },
  {
    of: "4.7",
    test: "idle",
    says: "1,000 idle clients, server MB",
    figure: (t) => t.of("idle: 1000 clients", "server"),
    atMost: 150,
  },
  {
    of: "4.8",
    test: "handshakes",
    says: "handshakes per second of server CPU",
    figure: (t) => t.of("handshakes", "perCpu", "client accepted"),
    atLeast: 1_000,
  },
  {
    of: "4.9",
    test: "startup",
    says: "start, × an empty Bun program",
    figure: (t) => t.of("startup", "ms", "rvpn --version") / t.of("startup", "ms", "empty Bun program"),
    atMost: 1.5,
  },
  {
    of: "4.10",
    test: "pool",
    says: "page in Chromium over SOCKS, × direct",
    figure: (t) => t.times("pool: a page", "page", "direct"),
    atMost: 1.3,
  },
  {
    of: "4.10",
    test: "pool",
    says: "origin connections of 50 HTTP requests",
    figure: (t) => t.of("pool: one curl", "origins"),
    atMost: 3,
  },
];

function cost(what: string, atMost: number): readonly Promised[] {
  return (["down", "up"] as const).map((way) => ({
    of: "4.2",
    test: "cost",
    says: `${what}, ${way}, CPU s/GB`,
    figure: (tables: Tables) => tables.of("cost: differences", way, what),
    atMost,
  }));
}

/** Every promise against the medians of `tables`. */
export function judge(tables: readonly Results[]): readonly Verdict[] {
  const all = new Tables(tables);
  return PROMISES.map(
    ({
      of,
      test,
      says,
      figure: figureOf,
      atLeast = Number.NEGATIVE_INFINITY,
      atMost = Number.POSITIVE_INFINITY,
    }) => {
      const figure = figureOf(all);
      const isKept = figure >= atLeast && figure <= atMost;
      const bound = Number.isFinite(atLeast) ? `at least ${atLeast}` : `at most ${atMost}`;
      return {
        of,
        test,
        says,
        figure,
        bound,
        outcome: Number.isNaN(figure) ? "missing" : isKept ? "kept" : "short",
      };
    },
  );
}

/** A line for each verdict. */
export function renderVerdicts(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ of, says, figure, bound, outcome }) => {
    const number = (figure < 1_000 ? figure.toPrecision(3) : figure.toFixed(0)).padStart(8);
    return `  ${outcome.padEnd(8)}${of.padEnd(6)}${says.padEnd(50)}${number}  ${bound}`;
  });
  return ["promises: medians of this run", ...lines].join("\n");
}
