import { assert, type Destination, type DialResult } from "../../proto/index.ts";
import { EMPTY } from "./bytes.ts";
import { HttpNegotiation, LaterHttpNegotiation, startsHttp } from "./http-negotiation.ts";
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
  /** Only for plain HTTP: one request and its response are to be told from what follows. Without it, bytes go as they are. */
  readonly exchange?: ExchangeTerms;
  /** What to write to the application once the result is known. Unless it is `connected`, close after it. */
  answer(result: ConnectResult): Uint8Array;
}

/** What is to be known of a request whose response is read. */
export interface ExchangeTerms {
  readonly method: string;
  /** Everything the application sends from now on goes through it. */
  readonly upload: UploadFilter;
  /** What has arrived behind the request already. */
  readonly behind: Uint8Array;
  /** The connection to the origin may serve other requests too. */
  readonly sharesOrigin: boolean;
  /** It may be sent twice, and all of it is in `early`. */
  readonly isRepeatable: boolean;
  /** The application's connection may take another request afterwards. */
  readonly keepsApplication: boolean;
}

/** What the far server said; `noTunnel`: no link came up while the request waited; `lost`: nobody will say any more. */
export type ConnectResult = DialResult | "noTunnel" | "lost";

/**
 * Cuts off what follows a plain HTTP request's body: the next request may be for another origin, and this one must not
 * read it. Counts bytes, keeps none; what was pushed beyond `forward` belongs to what follows.
 */
export interface UploadFilter {
  push(bytes: Uint8Array): UploadStep;
}

export interface UploadStep {
  readonly forward: Uint8Array;
  /** The body is complete (or broken), and later bytes are none of it. No FIN for the origin: some take it for an abort. */
  readonly done: boolean;
  /** The body's framing is broken: reset both sides. Given again by every later push, an empty one included. */
  readonly fault?: string;
}

const SOCKS4_VERSION = 4;
const SOCKS5_VERSION = 5;

export interface NegotiationOptions {
  readonly credentials?: ProxyCredentials;
  /** Connections to origins of plain HTTP are kept and shared. */
  readonly keepOrigins?: boolean;
}

/** Tells the protocols apart by the first byte and hands the connection to the parser of that one. */
export function createNegotiation(options: NegotiationOptions): Negotiation {
  let parser: Negotiation | undefined;
  return untilEnded((bytes) => {
    const [first] = bytes;
    if (first === undefined) return { kind: "more", reply: EMPTY };
    parser ??= parserFor(first, options);
    return parser.push(bytes);
  });
}

/** For a connection that has served a plain HTTP request: whatever comes is read as HTTP, and judged by itself. */
export function createLaterNegotiation(options: NegotiationOptions): Negotiation {
  const parser = new LaterHttpNegotiation(options);
  return untilEnded((bytes) => parser.push(bytes));
}

function untilEnded(push: (bytes: Uint8Array) => NegotiationStep): Negotiation {
  let ended = false;
  return {
    push(bytes) {
      assert(!ended, "a negotiation ends with its first connect or reject");
      const step = push(bytes);
      ended = step.kind !== "more";
      return step;
    },
  };
}

function parserFor(first: number, options: NegotiationOptions): Negotiation {
  const { credentials } = options;
  if (first === SOCKS5_VERSION) return new Socks5Negotiation(credentials);
  if (first === SOCKS4_VERSION) return new Socks4Negotiation(credentials);
  if (startsHttp(first)) return new HttpNegotiation(options);
  const reason = `first byte 0x${first.toString(16).padStart(2, "0")} starts neither SOCKS nor HTTP`;
  return { push: () => ({ kind: "reject", reply: EMPTY, reason }) };
}
