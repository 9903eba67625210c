/**
 * The floor: an encrypting relay in Bun with nothing else. `main.ts MODE server PORT`, `main.ts MODE client PORT
 * SERVER_PORT`; runs until it is ended. The client has just enough of SOCKS5 on loopback: whole messages, no password,
 * and of the destination the port alone. Each connection has a WebSocket of its own, without half-close.
 */
import { serveLocal } from "./local.ts";
import type { FloorMode } from "./message.ts";
import { serveRemote } from "./remote.ts";

const [mode = "", role, port, serverPort] = process.argv.slice(2);
if (!isMode(mode)) throw new Error(`no floor is ${mode}`);
if (role === "server") serveRemote(Number(port), mode);
else if (role === "client") serveLocal(Number(port), Number(serverPort), mode);
else throw new Error("main.ts MODE server|client PORT [SERVER_PORT]");

function isMode(text: string): text is FloorMode {
  return text === "plain" || text === "sealed" || text === "kept";
}
