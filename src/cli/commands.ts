import type { Command } from "./command.ts";

interface Entry {
  readonly summary: string;
  load(): Promise<{ readonly default: Command }>;
}

/** All commands, in the order of `rvpn --help`. Each loads on its own, so that `status` does not pay for the server. */
export const COMMANDS = {
  server: {
    summary: "run the server, behind a reverse proxy that does TLS",
    load: () => import("./commands/server.ts"),
  },
  invite: {
    summary: "make a link that lets one client in, or a seat for CI jobs",
    load: () => import("./commands/invite.ts"),
  },
  clients: {
    summary: "list the server's clients and open invites",
    load: () => import("./commands/clients.ts"),
  },
  revoke: {
    summary: "put a client out, now and for good",
    load: () => import("./commands/revoke.ts"),
  },
  rotate: {
    summary: "give the server a new identity, which clients follow",
    load: () => import("./commands/rotate.ts"),
  },
  add: {
    summary: "enter a client's public key by hand",
    load: () => import("./commands/add.ts"),
  },
  client: {
    summary: "run the client: a SOCKS5 and HTTP proxy on this machine",
    load: () => import("./commands/client.ts"),
  },
  run: {
    summary: "run a command with its proxy variables set",
    load: () => import("./commands/run.ts"),
  },
  status: {
    summary: "tell how the running client is doing",
    load: () => import("./commands/status.ts"),
  },
  stop: {
    summary: "end the running client",
    load: () => import("./commands/stop.ts"),
  },
  keygen: {
    summary: "make a secret key",
    load: () => import("./commands/keygen.ts"),
  },
  pubkey: {
    summary: "print the public key of a secret one",
    load: () => import("./commands/pubkey.ts"),
  },
} as const satisfies Record<string, Entry>;

export type CommandName = keyof typeof COMMANDS;

export function isCommandName(name: string): name is CommandName {
  // hasOwn: "constructor" is no command, though every object has one.
  return Object.hasOwn(COMMANDS, name);
}
