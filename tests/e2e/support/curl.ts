import type { Ran } from "./children.ts";
import type { World } from "./world.ts";

/** -q first: no configuration of the tester's. No destination is exempt from the proxy. */
const BASE = ["-q", "-sS", "--noproxy", "", "--max-time", "540"] as const;

/** The ways in which curl can use the client's one port. */
export const PROXIES = {
  socks5: (proxy: string) => ["--socks5", proxy],
  socks5h: (proxy: string) => ["--socks5-hostname", proxy],
  socks4a: (proxy: string) => ["--socks4a", proxy],
  connect: (proxy: string) => ["--proxy", `http://${proxy}`, "--proxytunnel"],
  http: (proxy: string) => ["--proxy", `http://${proxy}`],
} as const;
export type ProxyKind = keyof typeof PROXIES;

/** The arguments that send curl through the client of this world. */
export function through(world: World, kind: ProxyKind): readonly string[] {
  return PROXIES[kind](world.client.proxy);
}

/** Runs curl with exactly these arguments, silent but for errors. */
export function curl(world: World, ...args: readonly string[]): Promise<Ran> {
  return world.children.run(["curl", ...BASE, ...args]);
}

/** The SHA-256 of what curl downloads, which goes from pipe to pipe. Throws if curl fails. */
export async function curlHash(world: World, ...args: readonly string[]): Promise<string> {
  const script = 'curl "$@" | sha256sum';
  const ran = await world.children.run(["bash", "-o", "pipefail", "-c", script, "curl", ...BASE, ...args]);
  if (ran.exitCode !== 0) throw new Error(`curl ${args.join(" ")}: exit ${ran.exitCode}: ${ran.stderr}`);
  return ran.stdout.slice(0, 64);
}
