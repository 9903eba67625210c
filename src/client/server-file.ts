import {
  decodeBase64url,
  encodeBase64url,
  formatPublicKey,
  type LinkKind,
  parsePublicKey,
  parseServerUrl,
} from "../proto/index.ts";
import type { JsonFields } from "../runtime/json.ts";
import { readStateFile, writeStateFile } from "../runtime/state-file.ts";

/** The server that a client remembers. */
export interface KnownServer {
  readonly url: string;
  /** 32 bytes: its identity, pinned. */
  readonly serverKey: Uint8Array;
  /** 32 bytes; the server gives a new one now and then. */
  readonly gateKey: Uint8Array;
  readonly kind: LinkKind;
  /** 16 bytes, all zero when there is none (any more): with an address, and with an invite once it is used. */
  readonly secret: Uint8Array;
  /** Whether the server has accepted this client before. */
  readonly joined: boolean;
}

/** `server.json`. */
export interface RememberedServer extends KnownServer {
  /** SHA-256 of the link that this came from, to know it again. */
  readonly linkHash: Uint8Array;
}

const KEY_BYTES = 32;
const SECRET_BYTES = 16;
export const NO_SECRET = new Uint8Array(SECRET_BYTES);

/** Whether a server of this kind has a secret to keep: an invite's is spent once it is used. */
export function keepsSecret({
  kind,
  joined,
}: {
  readonly kind: LinkKind;
  readonly joined: boolean;
}): boolean {
  return kind === "seat" || (kind === "invite" && !joined);
}

export function readServer(path: string): RememberedServer | undefined {
  return readStateFile(path, (fields) => {
    const kind = fields.oneOf("kind", ["address", "invite", "seat"]);
    const joined = fields.boolean("joined");
    return {
      url: fields.parsed("url", "a server's address", parseServerUrl),
      serverKey: fields.parsed("serverKey", "a public key", parsePublicKey),
      gateKey: readBytes(fields, "gateKey", KEY_BYTES),
      kind,
      joined,
      secret: keepsSecret({ kind, joined }) ? readBytes(fields, "secret", SECRET_BYTES) : NO_SECRET,
      linkHash: readBytes(fields, "linkHash", KEY_BYTES),
    };
  });
}

export function writeServer(path: string, server: RememberedServer): void {
  const { url, serverKey, gateKey, kind, joined, secret, linkHash } = server;
  writeStateFile(path, {
    url,
    serverKey: formatPublicKey(serverKey),
    gateKey: encodeBase64url(gateKey),
    kind,
    joined,
    secret: keepsSecret(server) ? encodeBase64url(secret) : undefined,
    linkHash: encodeBase64url(linkHash),
  });
}

function readBytes(fields: JsonFields, key: string, length: number): Uint8Array {
  return fields.parsed(key, `base64url of ${length} bytes`, (text) => {
    const bytes = decodeBase64url(text);
    return bytes?.length === length ? bytes : undefined;
  });
}
