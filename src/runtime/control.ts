/**
 * The control socket: how commands talk to the server or client that runs in a state directory. One connection is one
 * request and one reply, each one line of JSON. Nobody but the owner of the directory can reach it; the limits are
 * there against mistakes, not attackers.
 */
export { callControl } from "./control-client.ts";
export type { ControlRequest } from "./control-protocol.ts";
export { type ControlServer, serveControl } from "./control-server.ts";
export type { Json, JsonObject } from "./json.ts";
