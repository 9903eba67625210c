import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child, Children } from "./children.ts";
import { freePort } from "./free-port.ts";
import { CADDYFILE } from "./settings.ts";

/** The host that Caddyfile.example serves, and where it expects rvpn. */
const EXAMPLE_HOST = /^vpn\.example\.org \{$/m;
const EXAMPLE_UPSTREAM = /127\.0\.0\.1:8443/g;
/** `stream_close_delay` came with this version; Debian 12 has 2.6. */
const STREAM_CLOSE_DELAY_SINCE = [2, 7] as const;

/** Caddy with TLS in front of a server, with a certificate of its own authority. */
export interface Caddy {
  readonly child: Child;
  readonly port: number;
  readonly config: string;
  /** The authority, for the client's `--ca`. */
  readonly ca: string;
  /** Loads the configuration anew, after a change that does not matter: without one Caddy does nothing. */
  reload(): Promise<void>;
  /** The same Caddy again after it was killed: same port, same certificate. */
  restart(): Promise<Caddy>;
}

/** Starts Caddy on a free port before what listens on `upstreamPort`, and waits until it has its certificate. */
export async function startCaddy(
  children: Children,
  dir: string,
  upstreamPort: number,
  edit = (config: string): string => config,
): Promise<Caddy> {
  const home = join(dir, "caddy");
  // Caddy 2.6 cleans its storage while it gets its first certificate, and now and then deletes the folder under it
  // because it is still empty.
  const certificate = join(home, "caddy/certificates/local/localhost");
  mkdirSync(certificate, { recursive: true });
  writeFileSync(join(certificate, "keep"), "");
  const config = join(home, "Caddyfile");
  const port = freePort();
  const version = await caddyVersion(children);
  writeFileSync(config, edit(deriveConfig({ port, upstreamPort, home, version })));
  return await run(children, { home, config, port }, /certificate obtained successfully/);
}

interface Place {
  readonly home: string;
  readonly config: string;
  readonly port: number;
}

async function run(children: Children, place: Place, ready: RegExp): Promise<Caddy> {
  const { home, config, port } = place;
  const command = ["caddy", "run", "--config", config, "--adapter", "caddyfile"];
  const child = children.start("caddy", command, { XDG_DATA_HOME: home, XDG_CONFIG_HOME: home });
  await child.waitFor(ready);
  return {
    child,
    port,
    config,
    ca: join(home, "caddy/pki/authorities/local/root.crt"),
    reload: () => reload(children, place),
    restart: () => run(children, place, /serving initial configuration/),
  };
}

async function reload(children: Children, { home, config }: Place): Promise<void> {
  const text = readFileSync(config, "utf8");
  const changed = text.includes("idle 5m")
    ? text.replace("idle 5m", "idle 4m")
    : text.replace("idle 4m", "idle 5m");
  if (changed === text) throw new Error("Caddyfile.example has no idle time to change");
  writeFileSync(config, changed);
  const address = `unix/${home}/admin.sock`;
  const command = ["caddy", "reload", "--config", config, "--adapter", "caddyfile", "--address", address];
  const ran = await children.run(command);
  if (ran.exitCode !== 0) throw new Error(`caddy reload: exit ${ran.exitCode}\n${ran.stderr}`);
}

interface Derived {
  readonly port: number;
  readonly upstreamPort: number;
  readonly home: string;
  readonly version: readonly [number, number];
}

/**
 * The very example that users copy, with only host, ports and authority replaced. Throws where the example has none to
 * replace, so that an edit of it cannot silently leave the test with something else.
 */
export function deriveConfig({ port, upstreamPort, home, version }: Derived): string {
  const example = readFileSync(CADDYFILE, "utf8");
  // Certificates of this test must not enter the machine's trust store, and no test may listen on port 80.
  const global = `{\n\tskip_install_trust\n\tauto_https disable_redirects\n\tadmin unix/${home}/admin.sock\n`;
  const replaced = [
    [/^\{$/m, global],
    [EXAMPLE_HOST, `localhost:${port} {\n\ttls internal\n\tbind 127.0.0.1 ::1`],
    [EXAMPLE_UPSTREAM, `127.0.0.1:${upstreamPort}`],
  ] as const;
  let config = example;
  for (const [from, to] of replaced) {
    if (config.search(from) < 0) throw new Error(`Caddyfile.example has nothing like ${from}`);
    config = config.replace(from, to);
  }
  if (!knowsCloseDelay(version)) config = config.replace(/^\s*stream_close_delay .*$/m, "");
  return config;
}

function knowsCloseDelay([major, minor]: readonly [number, number]): boolean {
  const [sinceMajor, sinceMinor] = STREAM_CLOSE_DELAY_SINCE;
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

async function caddyVersion(children: Children): Promise<readonly [number, number]> {
  const { stdout } = await children.run(["caddy", "version"]);
  const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout) ?? [];
  return [Number(major), Number(minor)];
}
