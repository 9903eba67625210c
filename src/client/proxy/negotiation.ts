import { assert, type Destination, type DialResult } from "../../proto/index.ts";
import { EMPTY } from "./bytes.ts";
import { HttpNegotiation } from "./http-negotiation.ts";
import { Socks4Negotiation } from "./socks4.ts";
import { Socks5Negotiation } from "./socks5.ts";

/** What an application must show to use the proxy. At most 255 bytes of UTF-8 each (RFC 1929); no colon in `user`. */
export interface ProxyCredentials {
  readonly user: string;
  readonly password: string;
}

/**
 * Reads the request of one accepted connection, whatever its protocol. The steps depend on the bytes alone, not on how
 * they were cut. After `connect` or `reject` it must not be used again. Views of pushed bytes are handed back.
 */
export interface Negotiation {
  push(bytes: Uint8Array): NegotiationStep;
}

export type NegotiationStep =
  | { readonly kind: "more"; readonly reply: Uint8Array }
  | ConnectStep
  | { readonly kind: "reject"; readonly reply: Uint8Array; readonly reason: string };

export type ProxyProtocol = "socks5" | "socks4" | "connect" | "http";

export interface ConnectStep {
  readonly kind: "connect";
  readonly destination: Destination;
  readonly protocol: ProxyProtocol;
  /** For the far side, once connected: what arrived behind the request; for plain HTTP the rewritten request so far. */
  readonly early: Uint8Array;
  /** Only for plain HTTP: everything the application sends from now on goes through it. Without it, bytes go as they are. */
  readonly upload?: UploadFilter;
  /** Only for plain HTTP whose response is to be read, because the connection to the origin may serve other requests. */
  readonly exchange?: ExchangeTerms;
  /** What to write to the application once the result is known. Unless it is `connected`, close after it. */
  answer(result: ConnectResult): Uint8Array;
}

/** What is to be known of a request whose response is read. */
export interface ExchangeTerms {
  readonly method: string;
  readonly upload: UploadFilter;
  /** It may be sent twice, and all of it is in `early`. */
  readonly isRepeatable: boolean;
}

/** What the far server said; `noTunnel`: no link came up while the request waited; `lost`: nobody will say any more. */
export type ConnectResult = DialResult | "noTunnel" | "lost";

/**
 * Cuts off what follows a plain HTTP request's body: the next request may be for another origin, and this one must not
 * read it. Counts bytes, keeps none.
 */
export interface UploadFilter {
  push(bytes: Uint8Array): UploadStep;
}

export interface UploadStep {
  readonly forward: Uint8Array;
  /**
   * The body is complete (or broken) and later bytes are dropped. No FIN for the origin yet: some take it for an abort.
   * But once bytes were dropped (`forward` is shorter than what was pushed) it must get one: an origin that does not
   * heed `Connection: close` would leave the application's second request waiting for ever; so it closes, and the
   * application asks again on a new connection.
   */
  readonly done: boolean;
  /** The body's framing is broken: reset both sides. Given again by every later push, an empty one included. */
  readonly fault?: string;
}

const SOCKS4_VERSION = 4;
const SOCKS5_VERSION = 5;
/** What a method can start with (RFC 9110 section 5.6.2, tchar). */
const TOKEN_START = /[!#$%&'*+\-.^_`|~0-9a-z]/i;

export interface NegotiationOptions {
  readonly credentials?: ProxyCredentials;
  /** Connections to origins of plain HTTP are kept and shared. */
  readonly keepOrigins?: boolean;
}

/** Tells the protocols apart by the first byte and hands the connection to the parser of that one. */
export function createNegotiation(options: NegotiationOptions): Negotiation {
  let parser: Negotiation | undefined;
  let ended = false;
  return {
    push(bytes) {
      assert(!ended, "a negotiation ends with its first connect or reject");
      const [first] = bytes;
      if (first === undefined) return { kind: "more", reply: EMPTY };
      parser ??= parserFor(first, options);
      const step = parser.push(bytes);
      ended = step.kind !== "more";
      return step;
    },
  };
}

function parserFor(first: number, options: NegotiationOptions): Negotiation {
  const { credentials } = options;
  if (first === SOCKS5_VERSION) return new Socks5Negotiation(credentials);
  if (first === SOCKS4_VERSION) return new Socks4Negotiation(credentials);
  if (TOKEN_START.test(String.fromCharCode(first))) return new HttpNegotiation(options);
  const reason = `first byte 0x${first.toString(16).padStart(2, "0")} starts neither SOCKS nor HTTP`;
  return { push: () => ({ kind: "reject", reply: EMPTY, reason }) };
}
