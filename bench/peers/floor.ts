import { resolve } from "node:path";
import { ENGINE_SETTINGS } from "../../src/cli/engine-settings.ts";
import type { FloorMode } from "../floor/message.ts";
import { freePort, listening } from "../lib/ports.ts";
import type { Contestant } from "./contestant.ts";

const MAIN = resolve(import.meta.dir, "../floor/main.ts");

/** The least that an encrypting relay in Bun costs (bench/floor), with the engine set as rvpn sets it for itself. */
export const floor: Contestant = { ...floorContestant("floor", "sealed"), onlyNamed: true };

export function floorContestant(name: string, mode: FloorMode): Contestant {
  return {
    name,
    role: "bound",
    missing: () => undefined,
    async start({ processes, lay }) {
      const label = name.replaceAll(/\W+/g, "-");
      const start = (end: string, ...args: readonly string[]) =>
        processes.daemon(`${label}-${end}`, [process.execPath, MAIN, mode, end, ...args], ENGINE_SETTINGS);
      const serverPort = freePort();
      const server = start("server", String(serverPort));
      await listening(serverPort);
      const socksPort = freePort();
      const client = start("client", String(socksPort), String(await lay(serverPort)));
      return { socksPort, client: [client], server: [server] };
    },
  };
}
