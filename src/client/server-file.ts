import {
  decodeBase64url,
  encodeBase64url,
  equalBytes,
  formatPublicKey,
  type LinkKind,
  parsePublicKey,
  parseServerUrl,
} from "../proto/index.ts";
import type { JsonFields, JsonObject } from "../runtime/json.ts";
import { readStateFile, writeStateFile } from "../runtime/state-file.ts";

/** The server that a client remembers. */
export interface KnownServer {
  readonly url: string;
  /** 32 bytes: its identity, pinned. */
  readonly serverKey: Uint8Array;
  /** The rotation that led to this key; 0 if only a link told of it. */
  readonly sequence: number;
  /** Identities that it had before, which older links of it may name: the newest last, and not all of very many. */
  readonly formerKeys: readonly Uint8Array[];
  /** The identity that the link named, of which a seat's own is made. */
  readonly linkKey: Uint8Array;
  /** 32 bytes; the server gives a new one now and then. */
  readonly gateKey: Uint8Array;
  readonly kind: LinkKind;
  /** 16 bytes, all zero when there is none (any more): with an address, and with an invite once it is used. */
  readonly secret: Uint8Array;
  /** Whether the server has accepted this client before. */
  readonly joined: boolean;
}

/** What one link makes of a client: all that is remembered but which server it is, which no link changes. */
export interface Membership extends Omit<KnownServer, keyof Pin> {
  /** SHA-256 of the link that this came from, to know it again. */
  readonly linkHash: Uint8Array;
}

type Pin = Pick<KnownServer, "serverKey" | "sequence" | "formerKeys">;

/** `server.json`. */
export interface RememberedServer extends KnownServer, Membership {
  /** What this client was before its present link, until the server accepts that: it may refuse it. */
  readonly before: Membership | undefined;
}

const KEY_BYTES = 32;
const SECRET_BYTES = 16;
export const NO_SECRET = new Uint8Array(SECRET_BYTES);
const MAX_SEQUENCE = 0xffff_ffff;
/** More than a server renews its identity in the life of a link. */
export const MAX_FORMER_KEYS = 64;

/** The part of `server` that a link decides. */
export function membershipOf(server: RememberedServer): Membership {
  const { url, linkKey, gateKey, kind, secret, joined, linkHash } = server;
  return { url, linkKey, gateKey, kind, secret, joined, linkHash };
}

/** Whether `key` is or was the identity of this server. */
export function isKeyOf({ serverKey, formerKeys }: KnownServer, key: Uint8Array): boolean {
  return [serverKey, ...formerKeys].some((each) => equalBytes(each, key));
}

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
    const pin = readPin(fields);
    return {
      ...pin,
      ...readMembership(fields, pin.linkKey),
      before: fields.has("before") ? readBefore(fields.object("before")) : undefined,
    };
  });
}

export function writeServer(path: string, server: RememberedServer): void {
  const { before } = server;
  writeStateFile(path, {
    ...writePin(server),
    ...writeMembership(server),
    before: before && { ...writeMembership(before), linkKey: formatPublicKey(before.linkKey) },
  });
}

function readMembership(fields: JsonFields, linkKey: Uint8Array): Membership {
  const kind = fields.oneOf("kind", ["address", "invite", "seat"]);
  const joined = fields.boolean("joined");
  return {
    url: fields.parsed("url", "a server's address", parseServerUrl),
    linkKey,
    gateKey: readBytes(fields, "gateKey", KEY_BYTES),
    kind,
    joined,
    secret: keepsSecret({ kind, joined }) ? readBytes(fields, "secret", SECRET_BYTES) : NO_SECRET,
    linkHash: readBytes(fields, "linkHash", KEY_BYTES),
  };
}

function readBefore(fields: JsonFields): Membership {
  const before = readMembership(fields, fields.parsed("linkKey", "a public key", parsePublicKey));
  fields.end();
  return before;
}

function writeMembership(membership: Membership): JsonObject {
  const { url, gateKey, kind, joined, secret, linkHash } = membership;
  return {
    url,
    gateKey: encodeBase64url(gateKey),
    kind,
    joined,
    secret: keepsSecret(membership) ? encodeBase64url(secret) : undefined,
    linkHash: encodeBase64url(linkHash),
  };
}

type PinFields = Pin & Pick<KnownServer, "linkKey">;

/** What there is besides the key appears with the first rotation that the client follows. */
function readPin(fields: JsonFields): PinFields {
  const serverKey = fields.parsed("serverKey", "a public key", parsePublicKey);
  if (!fields.has("sequence")) return { serverKey, sequence: 0, formerKeys: [], linkKey: serverKey };
  return {
    serverKey,
    sequence: fields.integer("sequence", 1, MAX_SEQUENCE),
    formerKeys: fields.list("formerKeys", (former) => former.parsed("key", "a public key", parsePublicKey)),
    linkKey: fields.parsed("linkKey", "a public key", parsePublicKey),
  };
}

function writePin({ serverKey, sequence, formerKeys, linkKey }: PinFields): JsonObject {
  const key = formatPublicKey(serverKey);
  if (sequence === 0) return { serverKey: key };
  return {
    serverKey: key,
    sequence,
    formerKeys: formerKeys.map((former) => ({ key: formatPublicKey(former) })),
    linkKey: formatPublicKey(linkKey),
  };
}

function readBytes(fields: JsonFields, key: string, length: number): Uint8Array {
  return fields.parsed(key, `base64url of ${length} bytes`, (text) => {
    const bytes = decodeBase64url(text);
    return bytes?.length === length ? bytes : undefined;
  });
}
