import { resolve } from "node:path";
import type { Bench } from "../lib/bench.ts";
import { loopback } from "../lib/bench.ts";
import { startHelper } from "../lib/helper.ts";
import { inviteRvpn, type RvpnServer, startRvpnServer } from "../peers/rvpn.ts";

/** A server of the built binary, and a process with as many of its clients as are wanted. */
export interface Crowd {
  readonly server: RvpnServer;
  /** Tells the process of clients what to do; resolves when it is done. */
  ask(line: string): Promise<void>;
  end(): Promise<void>;
}

export async function startCrowd(bench: Bench, label: string): Promise<Crowd> {
  const { processes, directory } = bench;
  const setup = { processes, directory, lay: loopback, probePort: bench.origin.http };
  const server = await startRvpnServer(setup, label);
  const link = await inviteRvpn(setup, server, ["crowd", "--seat"]);
  const script = resolve(import.meta.dir, "main.ts");
  const helper = await startHelper(processes, script, [], { RVPN_LINK: link });
  return {
    server,
    ask: async (line) => void (await helper.ask(line)),
    end: async () => {
      await helper.end();
      await server.daemon.end();
    },
  };
}
