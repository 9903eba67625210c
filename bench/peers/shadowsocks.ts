import { freePort } from "../lib/ports.ts";
import { type Contestant, missingPrograms } from "./contestant.ts";

const METHOD = "aes-256-gcm";
/** Seconds after which it gives up an idle connection. Its default, and longer than any test of ours. */
const TIMEOUT = "60";

/** shadowsocks-libev, both ends. */
export const shadowsocks: Contestant = {
  name: "shadowsocks",
  role: "peer",
  missing: () => missingPrograms("ss-server", "ss-local"),
  async start({ processes, lay }) {
    const serverPort = freePort();
    const socksPort = freePort();
    const common = ["-k", crypto.randomUUID(), "-m", METHOD, "-t", TIMEOUT];
    const server = processes.daemon("ss-server", [
      "ss-server",
      ...["-s", "127.0.0.1", "-p", String(serverPort), ...common],
    ]);
    const client = processes.daemon("ss-local", [
      "ss-local",
      ...["-s", "127.0.0.1", "-p", String(await lay(serverPort))],
      ...["-b", "127.0.0.1", "-l", String(socksPort), ...common],
    ]);
    return { socksPort, client: [client], server: [server] };
  },
};
