import { hkdfExpand, hkdfExtract } from "./crypto/hkdf.ts";
import { type Identity, identityFromSeed, isAcceptablePublicKey } from "./crypto/identity.ts";
import { checkLength, concatBytes, equalBytes, label, wipe } from "./crypto/octets.ts";
import { defaultPrimitives, KEY_BYTES, type Primitives } from "./crypto/primitives/index.ts";
import { decodeBase64url, encodeBase64url, TextFormatError } from "./text.ts";

/**
 * What a link is for: `invite` lets one new client in, `seat` carries the client's identity itself, and `address` only
 * says where the server is, for clients that are on its list. Wire values of the fragment's first byte.
 */
export const LINK_KINDS = { address: 0, invite: 1, seat: 2 } as const;
export type LinkKind = keyof typeof LINK_KINDS;

/** All that a client needs to reach a server and to know it. */
export interface ServerLink {
  /** `ws(s)://host[:port]/path` as `parseServerUrl` writes it: no fragment, no query, no credentials. */
  readonly url: string;
  readonly kind: LinkKind;
  /** 32 bytes: the server's identity, which the client pins. */
  readonly serverKey: Uint8Array;
  /** 32 bytes, for the gate's tokens. */
  readonly gateKey: Uint8Array;
  /** 16 bytes; all zero in an `address`. */
  readonly secret: Uint8Array;
}

const SECRET_BYTES = 16;
const CHECKSUM_BYTES = 4;
const BODY_BYTES = 1 + KEY_BYTES + KEY_BYTES + SECRET_BYTES;
/** Longer texts are refused before anything looks at them. */
const MAX_TEXT_LENGTH = 2048;

const LINK_LABEL = label("rvpn/2 link");
const INVITE_LABEL = label("rvpn/2 invite");
const SEAT_LABEL = label("rvpn/2 seat");
const ZERO_SALT = new Uint8Array(KEY_BYTES);

/**
 * url ‖ "#" ‖ base64url(kind ‖ IK_S ‖ K_gate ‖ secret ‖ checksum). All that is secret is in the fragment, which no
 * browser sends to a server. The URL is written in its one form (see `parseServerUrl`).
 */
export function formatLink(link: ServerLink): string {
  checkLength("serverKey", link.serverKey, KEY_BYTES);
  checkLength("gateKey", link.gateKey, KEY_BYTES);
  checkLength("secret", link.secret, SECRET_BYTES);
  const kind = Uint8Array.of(LINK_KINDS[link.kind]);
  const body = concatBytes(kind, link.serverKey, link.gateKey, link.secret);
  const problem = problemOf(body);
  if (problem !== undefined) throw new TextFormatError(problem);
  return `${parseServerUrl(link.url)}#${encodeBase64url(concatBytes(body, linkChecksum(body)))}`;
}

/** The link of a text. TextFormatError names what is wrong and never repeats the part behind the "#". */
export function parseLink(text: string): ServerLink {
  if (text.length > MAX_TEXT_LENGTH) throw new TextFormatError("the link is too long to be one");
  const hash = text.indexOf("#");
  if (hash < 0) throw new TextFormatError('the link has no "#": its secret part is missing');
  const written = text.slice(0, hash);
  const url = parseServerUrl(written);
  if (url !== written) throw new TextFormatError(`the link's address must be written as ${url}`);
  const body = parseFragment(text.slice(hash + 1));
  const kind = kindOf(body[0]);
  if (kind === undefined) throw new TextFormatError("the link is of a kind that this version does not know");
  return {
    url,
    kind,
    serverKey: body.slice(1, 33),
    gateKey: body.slice(33, 65),
    secret: body.slice(65, BODY_BYTES),
  };
}

function parseFragment(fragment: string): Uint8Array {
  if (/\s/.test(fragment)) throw new TextFormatError("the link has a space or a line break in it");
  const bytes = decodeBase64url(fragment);
  if (bytes === undefined)
    throw new TextFormatError('the link has characters behind the "#" that it cannot have');
  if (bytes.length !== BODY_BYTES + CHECKSUM_BYTES) {
    throw new TextFormatError('the part of the link behind the "#" is cut short or too long');
  }
  const body = bytes.subarray(0, BODY_BYTES);
  if (!equalBytes(bytes.subarray(BODY_BYTES), linkChecksum(body))) {
    throw new TextFormatError("the link has a typing error: its checksum is wrong");
  }
  const problem = problemOf(body);
  if (problem !== undefined) throw new TextFormatError(problem);
  return body;
}

/** What is wrong with 81 bytes whose checksum is right; the same for links that we write and links that we read. */
function problemOf(body: Uint8Array): string | undefined {
  if (!isAcceptablePublicKey(body.subarray(1, 33)))
    return "the link's server key is one that no server can have";
  const hasSecret = body.subarray(65).some((byte) => byte !== 0);
  if (kindOf(body[0]) === "address" && hasSecret) return "the link is an address, but carries a secret";
  return undefined;
}

function kindOf(byte: number | undefined): LinkKind | undefined {
  switch (byte) {
    case LINK_KINDS.address:
      return "address";
    case LINK_KINDS.invite:
      return "invite";
    case LINK_KINDS.seat:
      return "seat";
    default:
      return undefined;
  }
}

function linkChecksum(body: Uint8Array): Uint8Array {
  return defaultPrimitives.sha256(concatBytes(LINK_LABEL, body)).subarray(0, CHECKSUM_BYTES);
}

/**
 * A server's WebSocket URL in its one form: host in lower case, no default port, a path of at least "/".
 * TextFormatError if it is no ws:// or wss:// URL, or has a part that has no meaning here.
 */
export function parseServerUrl(text: string): string {
  const url = text.length <= MAX_TEXT_LENGTH ? URL.parse(text) : null;
  if (url === null) throw new TextFormatError("the server's address is not a URL: write wss://host/");
  if (url.protocol !== "wss:" && url.protocol !== "ws:") {
    throw new TextFormatError(`the server's address begins with ${url.protocol}// instead of wss://`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new TextFormatError("the server's address has a user name or password in it");
  }
  // `search` and `hash` are empty for a lone "?" or "#" as well.
  if (/[?#]/.test(url.href)) throw new TextFormatError('the server\'s address has a part behind "?" or "#"');
  return url.href;
}

/** H(L"rvpn/2 invite" ‖ secret): all that the server keeps of an invite, so that its files let nobody in. */
export function inviteHash(secret: Uint8Array, primitives: Primitives = defaultPrimitives): Uint8Array {
  checkLength("secret", secret, SECRET_BYTES);
  return primitives.sha256(concatBytes(INVITE_LABEL, secret));
}

/** The identity that a seat's secret stands for, bound to the server: Exp(Ext(Z, secret), L"rvpn/2 seat" ‖ IK_S, 32). */
export function seatIdentity(
  secret: Uint8Array,
  serverKey: Uint8Array,
  primitives: Primitives = defaultPrimitives,
): Identity {
  checkLength("secret", secret, SECRET_BYTES);
  checkLength("serverKey", serverKey, KEY_BYTES);
  const prk = hkdfExtract(primitives, ZERO_SALT, secret);
  const seed = hkdfExpand(primitives, prk, concatBytes(SEAT_LABEL, serverKey), KEY_BYTES);
  const identity = identityFromSeed(seed);
  wipe(prk, seed);
  return identity;
}
