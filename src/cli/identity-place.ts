import { UsageError } from "../runtime/errors.ts";
import type { Flag, Values } from "./flags.ts";
import { stateDirOf } from "./options.ts";

/**
 * Where `keygen` and `pubkey` find an identity instead of a pipe. No variables: with RVPN_STATE set for the sake of
 * other commands, `rvpn keygen | rvpn pubkey` would quietly be about another key.
 */
export const identityFlags = {
  client: { type: "boolean", env: false, description: "the identity of the client on this machine" },
  server: { type: "boolean", env: false, description: "the identity of the server on this machine" },
  state: {
    type: "string",
    valueHint: "DIR",
    env: false,
    description: "the identity in this state directory",
  },
} as const satisfies Record<string, Flag>;

/** The state directory that the flags name, undefined if none of them was given. */
export function identityDirOf(values: Values<typeof identityFlags>): string | undefined {
  const { client, server, state } = values;
  if ([client, server, state !== undefined].filter(Boolean).length > 1) {
    throw new UsageError("--client, --server and --state exclude each other", "give one of them");
  }
  if (!client && !server && state === undefined) return undefined;
  return stateDirOf(state, server ? "server" : "client");
}
