import { bytesOf } from "./bytes.ts";
import type { Framing } from "./http-body.ts";
import { listOf, type RequestHead, type ResponseHead } from "./http-head.ts";
import type { AbsoluteTarget } from "./http-target.ts";

/** About this connection and not for the origin (RFC 9110 section 7.6.1); Host is written anew from the URI. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  "connection",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
]);

/** The body goes on as it came, so what frames it must too, whatever Connection names: else it becomes a second request. */
const ALWAYS_FORWARDED: ReadonlySet<string> = new Set(["content-length", "transfer-encoding"]);

/** About the connection to the origin, and not for the application. */
const NOT_RETURNED: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "upgrade",
]);

/** What becomes of the connection to the origin: ended with the response, kept, or perhaps turned into a WebSocket. */
export type OriginUse = "close" | "keep" | "websocket";

const CONNECTION_LINES: Readonly<Record<OriginUse, readonly string[]>> = {
  close: ["Connection: close"],
  // HTTP/1.1 keeps without being asked, but browsers ask, and this is to look like one of them.
  keep: ["Connection: keep-alive"],
  websocket: ["Upgrade: websocket", "Connection: Upgrade, close"],
};

/**
 * The head as the origin gets it: origin-form, its own Host (RFC 9112 section 3.2.2), every other line byte for byte.
 *
 * The version stays the application's, not ours: an HTTP/1.0 application could not read a chunked response. No Via and
 * no X-Forwarded-For, although RFC 9110 section 7.6.3 asks for the first: who tunnels does not want it announced.
 */
export function forwardedHead(head: RequestHead, target: AbsoluteTarget, use: OriginUse): Uint8Array {
  const named = new Set(listOf(head, "connection"));
  const kept = head.fields.filter(
    ({ name }) => ALWAYS_FORWARDED.has(name) || !(NOT_FORWARDED.has(name) || named.has(name)),
  );
  return bytesOf(
    [
      `${head.method} ${target.originForm} HTTP/1.${head.minor}`,
      `Host: ${target.authority.text}`,
      ...kept.map((field) => field.line),
      ...CONNECTION_LINES[use],
      "\r\n",
    ].join("\r\n"),
  );
}

/** What becomes of the application's connection behind a response. */
export type ApplicationUse = "close" | "keep";

/**
 * A response's head as the application gets it: every line byte for byte but those about the origin's connection. The
 * application's own is another; that it is kept goes without saying (RFC 9112 section 9.3).
 */
export function returnedHead(head: ResponseHead, use: ApplicationUse): Uint8Array {
  const named = new Set(listOf(head, "connection"));
  const kept = head.fields.filter(
    ({ name }) => ALWAYS_FORWARDED.has(name) || !(NOT_RETURNED.has(name) || named.has(name)),
  );
  const close = head.status < 200 || use === "keep" ? [] : ["Connection: close"];
  return bytesOf([head.statusLine, ...kept.map((field) => field.line), ...close, "\r\n"].join("\r\n"));
}

/**
 * Whether the request may turn its connection into a WebSocket (RFC 6455 section 4.1), so that bytes must flow both
 * ways unread. People expect ws:// to work through a proxy. Every other upgrade is left out, which the origin must
 * accept (RFC 9110 section 7.8): after h2c the application would send requests for other origins down this connection.
 * An origin that declines closes, as the request asks, so no second request follows here either.
 */
export function asksForWebSocket(head: RequestHead, framing: Framing): boolean {
  const upgrades = listOf(head, "upgrade");
  return (
    head.method === "GET" &&
    head.minor === 1 &&
    framing.kind === "none" &&
    upgrades.length === 1 &&
    upgrades[0] === "websocket" &&
    listOf(head, "connection").includes("upgrade")
  );
}
