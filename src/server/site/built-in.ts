import { etagOf, type Found, type Resource, type SiteFiles } from "./resource.ts";

// The page of a freshly installed Apache: a body of our own would find every rvpn with one search.
const PAGE = new TextEncoder().encode("<html><body><h1>It works!</h1></body></html>\n");

const BASE_MS = Date.UTC(2024, 0, 1);
const YEAR_SECONDS = 365n * 24n * 3_600n;
const NS_PER_MS = 1_000_000n;

/**
 * The built-in site: one page, last changed at a time within 2024 that `seed` decides. It must be the same after a
 * restart, as the date of a file is, and another on every server, or the date would tell what made the page.
 */
export function builtInFiles(seed: Uint8Array): SiteFiles {
  const seconds = BigInt(Bun.hash(seed)) % YEAR_SECONDS;
  const modifiedMs = BASE_MS + Number(seconds) * 1_000;
  const resource: Resource = {
    etag: etagOf(BigInt(modifiedMs) * NS_PER_MS, BigInt(PAGE.length)),
    modifiedMs,
    type: "text/html; charset=utf-8",
    size: PAGE.length,
    content: PAGE,
  };
  return {
    async find(path): Promise<Found> {
      return /^\/+(?:index\.html)?$/.test(path) ? { kind: "resource", resource } : { kind: "missing" };
    },
    missingPage: async () => undefined,
  };
}
