import { freePort, listening } from "../lib/ports.ts";
import { type Contestant, missingPrograms } from "./contestant.ts";

/** chisel: SSH inside a WebSocket. */
export const chisel: Contestant = {
  name: "chisel",
  role: "peer",
  missing: () => missingPrograms("chisel"),
  async start({ processes, lay }) {
    const port = freePort();
    const socksPort = freePort();
    const server = processes.daemon("chisel-server", [
      ...["chisel", "server", "--host", "127.0.0.1", "--port", String(port), "--socks5"],
    ]);
    await listening(port);
    const url = `http://127.0.0.1:${await lay(port)}`;
    const remote = `127.0.0.1:${socksPort}:socks`;
    const client = processes.daemon("chisel-client", ["chisel", "client", url, remote]);
    return { socksPort, client: [client], server: [server] };
  },
};

/** wstunnel: a WebSocket per connection, and no encryption of its own under ws://. */
export const wstunnel: Contestant = {
  name: "wstunnel",
  role: "peer",
  missing: () => missingPrograms("wstunnel"),
  async start({ processes, lay }) {
    const port = freePort();
    const socksPort = freePort();
    const server = processes.daemon("wstunnel-server", ["wstunnel", "server", `ws://127.0.0.1:${port}`]);
    await listening(port);
    const local = `socks5://127.0.0.1:${socksPort}`;
    const url = `ws://127.0.0.1:${await lay(port)}`;
    const client = processes.daemon("wstunnel-client", ["wstunnel", "client", "-L", local, url]);
    return { socksPort, client: [client], server: [server] };
  },
};
