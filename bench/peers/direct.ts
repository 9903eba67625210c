import { freePort } from "../lib/ports.ts";
import { type Contestant, missingPrograms } from "./contestant.ts";

/** No proxy at all: what this machine, curl and the origin can do. */
export const direct: Contestant = {
  name: "direct",
  role: "bound",
  missing: () => undefined,
  start: async () => ({ socksPort: undefined, client: [], server: [] }),
};

/** One unencrypted SOCKS5 proxy in C: one hop where all others have two. */
export const microsocks: Contestant = {
  name: "microsocks",
  role: "bound",
  fullOnly: true,
  missing: () => missingPrograms("microsocks"),
  async start({ processes, lay }) {
    const port = freePort();
    const proxy = processes.daemon("microsocks", ["microsocks", "-i", "127.0.0.1", "-p", String(port)]);
    return { socksPort: await lay(port), client: [], server: [proxy] };
  },
};
