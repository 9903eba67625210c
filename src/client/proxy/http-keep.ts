import type { Framing } from "./http-body.ts";
import { listOf, type RequestHead, type ResponseHead, valuesOf } from "./http-head.ts";
import { ORIGIN_IDLE_MS, ORIGIN_MARGIN_MS } from "./limits.ts";

/** Credentials that stand for one request (RFC 9110 section 11). Of others nobody knows whether they stick. */
const STATELESS_SCHEMES: ReadonlySet<string> = new Set(["basic", "bearer", "digest"]);

/** Schemes that make a connection somebody's (RFC 4559 section 6, MS-NTHT), whatever is sent on it later. */
const STICKY_CHALLENGE = /(?:^|[\s,])(?:negotiate|ntlm|kerberos|nego2)(?:[\s,]|$)/i;

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** Misdirected Request says something about the connection; Upgrade Required and what follows on 101 do too. */
const UNKEPT_STATUSES: ReadonlySet<number> = new Set([101, 421, 426]);

/**
 * Whether a request may go over a connection that has served others and will serve more. HTTP/1.0 applications cannot
 * tell what a kept connection sends, and what authenticates a connection must find it new and leave it used up.
 */
export function mayShareOrigin(head: RequestHead): boolean {
  return (
    head.minor === 1 &&
    valuesOf(head, "authorization").every((value) => {
      const [scheme = ""] = value.split(" ");
      return STATELESS_SCHEMES.has(scheme.toLowerCase());
    })
  );
}

/**
 * Whether a request may be sent again where its connection turns out to have been closed meanwhile. Only such a one goes
 * over a connection that was kept; with a body it would have to be stored for that, so it gets a new connection.
 */
export function isRepeatable(head: RequestHead, framing: Framing): boolean {
  return IDEMPOTENT.has(head.method) && framing.kind === "none";
}

/**
 * Whether the application's connection may take another request after this one. HTTP/1.0 applications that ask for it
 * are few, and what authenticates a connection must find no other request on it.
 */
export function mayKeepApplication(head: RequestHead): boolean {
  // Not in any RFC, but older applications say to a proxy with it what others say with Connection.
  const options = [...listOf(head, "connection"), ...listOf(head, "proxy-connection")];
  return mayShareOrigin(head) && !options.includes("close");
}

/** For how long the connection of a fully read response may be kept, in ms; 0: not at all. */
export function keepMs(head: ResponseHead): number {
  const sticks =
    valuesOf(head, "www-authenticate").some((value) => STICKY_CHALLENGE.test(value)) ||
    valuesOf(head, "persistent-auth").length > 0 ||
    valuesOf(head, "proxy-support").length > 0;
  const ends = head.minor === 0 || listOf(head, "connection").includes("close");
  if (sticks || ends || UNKEPT_STATUSES.has(head.status)) return 0;
  const seconds = /(?:^|[,\s])timeout\s*=\s*(\d{1,9})(?!\d)/i.exec(valuesOf(head, "keep-alive").join())?.[1];
  if (seconds === undefined) return ORIGIN_IDLE_MS;
  return Math.max(0, Math.min(ORIGIN_IDLE_MS, Number(seconds) * 1_000 - ORIGIN_MARGIN_MS));
}
