import { describe, test } from "bun:test";
import { resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../../..");
const MB = 1_000_000;

/** The executable under test. Built by `bun run build`. */
export const BINARY = resolve(ROOT, process.env["RVPN_BIN"] ?? "dist/rvpn");
export const CADDYFILE = resolve(ROOT, "Caddyfile.example");

/** `RVPN_FULL=1`: the sizes that the project promises. Else smaller ones that show the same in a minute. */
export const FULL = process.env["RVPN_FULL"] === "1";
/** In CI nothing that a test needs may be missing. */
const STRICT = process.env["CI"] === "true";

export const SIZES = FULL
  ? {
      transferBytes: 1_000 * MB,
      parallel: 200,
      parallelBytes: 5 * MB,
      garbage: 2_000,
      exchanges: 500,
      patient: true,
      timingSamples: 2_000,
      timingMs: 600_000,
      gateFailures: 20_000,
      idleSockets: 2_000,
      floodSeconds: 60,
    }
  : {
      transferBytes: 50 * MB,
      parallel: 50,
      parallelBytes: 1 * MB,
      garbage: 300,
      exchanges: 50,
      patient: false,
      timingSamples: 300,
      timingMs: 60_000,
      gateFailures: 500,
      idleSockets: 100,
      floodSeconds: 3,
    };

/** The client's arguments in the tests of bad paths, by what they are called. */
export const LINKS: readonly (readonly [title: string, args: readonly string[]])[] = [
  ["one link", []],
  ["--links 3", ["--links", "3"]],
];

/** Limit of one test. A hang must not look like a slow machine, so it is far above what any test takes. */
export const TEST_MS = FULL ? 600_000 : 60_000;

/** `direct`: the client dials the server over loopback. `caddy`: through Caddy with TLS, as on a real host. */
export const ROUTES = ["direct", "caddy"] as const;
export type Route = (typeof ROUTES)[number];

/** The programs that a route and a test need. */
export function programsFor(route: Route, ...others: readonly string[]): readonly string[] {
  return ["curl", "bash", "sha256sum", ...(route === "caddy" ? ["caddy"] : []), ...others];
}

/** A `describe` that is skipped when a program is missing; in CI it fails instead, and says which one. */
export function describeWith(programs: readonly string[], title: string, body: () => void): void {
  const missing = programs.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return describe(title, body);
  const reason = `${missing.join(", ")} not found: run scripts/install-test-tools.sh`;
  if (!STRICT) return describe.skip(`${title} (${reason})`, body);
  test(title, () => {
    throw new Error(reason);
  });
}

/** Where a program is, also in the directories that only root has in PATH. */
export function findProgram(name: string): string | undefined {
  return Bun.which(name, { PATH: SEARCH_PATH }) ?? undefined;
}

export const SEARCH_PATH = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;
