import { formatLink, identityFromSeed } from "../../../src/proto/index.ts";

/** A well-formed invite of a server that does not exist. The same `server` number has the same identity. */
export function inviteLink(url: string, server = 1): string {
  return formatLink({
    url,
    kind: "invite",
    serverKey: identityFromSeed(new Uint8Array(32).fill(server)).publicKey,
    gateKey: new Uint8Array(32).fill(7),
    secret: new Uint8Array(16).fill(9),
  });
}

/** The part of a link that nobody may see. */
export function secretOf(link: string): string {
  return link.slice(link.indexOf("#") + 1);
}
