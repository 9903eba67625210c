import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../lib/ports.ts";
import { type Contestant, missingPrograms } from "./contestant.ts";

/** v2ray with VMess inside a WebSocket: of all peers the one that is carried as rvpn is. */
export const v2ray: Contestant = {
  name: "v2ray vmess+ws",
  role: "peer",
  missing: () => missingPrograms("v2ray"),
  async start({ processes, directory, lay }) {
    const place = join(directory, "v2ray");
    mkdirSync(place, { mode: 0o700 });
    const id = crypto.randomUUID();
    const serverPort = freePort();
    const socksPort = freePort();
    const serverFile = join(place, "server.json");
    const clientFile = join(place, "client.json");
    await Bun.write(serverFile, JSON.stringify(serverConfig(serverPort, id)));
    await Bun.write(clientFile, JSON.stringify(clientConfig(await lay(serverPort), socksPort, id)));
    return {
      socksPort,
      client: [processes.daemon("v2ray-client", ["v2ray", "-config", clientFile])],
      server: [processes.daemon("v2ray-server", ["v2ray", "-config", serverFile])],
    };
  },
};

const LOG = { loglevel: "error" };
const WS = { network: "ws", wsSettings: { path: "/" } };

function serverConfig(port: number, id: string): object {
  const settings = { clients: [{ id, alterId: 0 }] };
  return {
    log: LOG,
    inbounds: [{ listen: "127.0.0.1", port, protocol: "vmess", settings, streamSettings: WS }],
    outbounds: [{ protocol: "freedom" }],
  };
}

function clientConfig(serverPort: number, socksPort: number, id: string): object {
  const server = {
    address: "127.0.0.1",
    port: serverPort,
    users: [{ id, alterId: 0, security: "aes-128-gcm" }],
  };
  return {
    log: LOG,
    inbounds: [{ listen: "127.0.0.1", port: socksPort, protocol: "socks", settings: { auth: "noauth" } }],
    outbounds: [{ protocol: "vmess", settings: { vnext: [server] }, streamSettings: WS }],
  };
}
