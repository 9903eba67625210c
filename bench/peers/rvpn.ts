import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { freePort, listening } from "../lib/ports.ts";
import type { Daemon } from "../lib/processes.ts";
import type { Contestant, Setup } from "./contestant.ts";

export const RVPN_BINARY = resolve(import.meta.dir, "../../dist/rvpn");

export interface RvpnOptions {
  readonly name: string;
  /** Another executable than the one that was built. */
  readonly binary?: string;
  readonly flags?: {
    readonly both?: readonly string[];
    readonly client?: readonly string[];
    readonly server?: readonly string[];
  };
}

/** rvpn as a user starts it: the built binary, both ends, everything at its default. */
export const rvpn = rvpnContestant({ name: "rvpn" });

export function rvpnContestant({ name, binary = RVPN_BINARY, flags = {} }: RvpnOptions): Contestant {
  return {
    name,
    role: "ours",
    missing: () => (existsSync(binary) ? undefined : "dist/rvpn is not built: bun run build"),
    async start(setup) {
      const { both = [], client: clientFlags = [], server: serverFlags = [] } = flags;
      const label = name.replaceAll(" ", "-");
      const server = await startRvpnServer(setup, label, [...both, ...serverFlags], binary);
      const link = await inviteRvpn(setup, server, [name.replaceAll(" ", "-")]);
      const socksPort = freePort();
      const state = join(setup.directory, `${label}-client`);
      const client = setup.processes.daemon(
        `${label}-client`,
        [
          ...[binary, "client", "--proxy", String(socksPort), "--state", state, "--log-level", "warn"],
          ...both,
          ...clientFlags,
        ],
        { RVPN_LINK: link },
      );
      return { socksPort, client: [client], server: [server.daemon] };
    },
  };
}

export interface RvpnServer {
  readonly daemon: Daemon;
  readonly port: number;
  readonly state: string;
}

export async function startRvpnServer(
  { processes, directory }: Setup,
  label: string,
  flags: readonly string[] = [],
  binary = RVPN_BINARY,
): Promise<RvpnServer> {
  const port = freePort();
  const state = join(directory, `${label}-server`);
  const daemon = processes.daemon(`${label}-server`, [
    ...[binary, "server", "--listen", `127.0.0.1:${port}`, "--state", state],
    ...["--allow", "127.0.0.0/8", "--drain", "0s", "--log-level", "warn", ...flags],
  ]);
  await listening(port);
  return { daemon, port, state };
}

/** The link that an invite prints; `args` are its name and flags. */
export async function inviteRvpn(
  { processes, lay }: Setup,
  { port, state }: RvpnServer,
  args: readonly string[],
): Promise<string> {
  const url = `ws://127.0.0.1:${await lay(port)}/`;
  return processes.capture([RVPN_BINARY, "invite", ...args, "--url", url, "--state", state]);
}
