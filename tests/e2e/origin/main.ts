/**
 * The origin of the end-to-end tests, a process of its own: a web site and a few servers with bad manners, on loopback.
 * Prints one line of JSON, the port of each, and serves until it is ended.
 */
import { serveHttp } from "./http.ts";
import { startTcpServers } from "./tcp.ts";

const tcp = startTcpServers();
const http = serveHttp(() => tcp.reports());
process.stdout.write(`${JSON.stringify({ http, ...tcp.ports })}\n`);
