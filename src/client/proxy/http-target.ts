import type { Destination } from "../../proto/index.ts";
import { parseIp } from "../../runtime/address.ts";
import { hostFromAddress, hostFromText } from "./host.ts";
import type { RequestHead } from "./http-head.ts";
import { HttpRefusal } from "./http-reply.ts";

/** Where a request goes: `text` is host and port as the application wrote them, plain ASCII by then. */
export interface Authority {
  readonly destination: Destination;
  readonly text: string;
}

export type Target = { readonly kind: "connect"; readonly authority: Authority } | AbsoluteTarget;

export interface AbsoluteTarget {
  readonly kind: "absolute";
  readonly authority: Authority;
  /** The request target for the origin (RFC 9112 section 3.2.1). */
  readonly originForm: string;
}

const HTTP_PORT = 80;
/** Bracketed IPv6 or anything without a colon, then perhaps a port. */
const AUTHORITY = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{0,5}))?$/;

/** A request target in one of the two forms that are meant for a proxy. */
export function parseTarget(head: RequestHead): Target | HttpRefusal {
  if (head.method !== "CONNECT") return parseAbsoluteTarget(head);
  // RFC 9112 section 3.2.3: there is no default port.
  const authority = parseAuthority(head.target, undefined);
  return authority instanceof HttpRefusal ? authority : { kind: "connect", authority };
}

/**
 * `http://host[:port]/path?query` (RFC 9112 section 3.2.2). Browsers send this form to nothing but their proxy: a page
 * that aims a request at this port, by DNS rebinding or not, produces a path and is refused.
 */
function parseAbsoluteTarget(head: RequestHead): AbsoluteTarget | HttpRefusal {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(head.target);
  if (scheme === null) {
    return new HttpRefusal(400, "this is a proxy: send an absolute http:// URL, or CONNECT host:port");
  }
  if (scheme[1]?.toLowerCase() !== "http") {
    return new HttpRefusal(400, "a proxy can be asked for http:// URLs only; everything else needs CONNECT");
  }
  const rest = head.target.slice(scheme[0].length);
  if (rest.includes("#")) return new HttpRefusal(400, "a request has no fragment");
  const authorityEnd = rest.search(/[/?]|$/);
  const authority = parseAuthority(rest.slice(0, authorityEnd), HTTP_PORT);
  if (authority instanceof HttpRefusal) return authority;
  return { kind: "absolute", authority, originForm: originForm(head.method, rest.slice(authorityEnd)) };
}

function originForm(method: string, path: string): string {
  // RFC 9112 section 3.2.4: OPTIONS about the server as a whole.
  if (path === "") return method === "OPTIONS" ? "*" : "/";
  return path.startsWith("/") ? path : `/${path}`;
}

/** RFC 3986 section 3.2. A user name is refused (RFC 9110 section 4.2.4): it is there to be mistaken for the host. */
function parseAuthority(text: string, defaultPort: number | undefined): Authority | HttpRefusal {
  const match = AUTHORITY.exec(text);
  if (match === null) return new HttpRefusal(400, "malformed host or port");
  const [, bracketed, plain = "", portText = ""] = match;
  const host = bracketed === undefined ? hostFromText(plain) : ipv6Host(bracketed);
  if (host === undefined) return new HttpRefusal(400, "malformed host");
  const port = portText === "" ? defaultPort : Number(portText);
  if (port === undefined) return new HttpRefusal(400, "CONNECT needs host:port");
  if (port === 0 || port > 65_535) return new HttpRefusal(400, "the port is not between 1 and 65535");
  return { destination: { host, port }, text: portText === "" ? text.replace(/:$/, "") : text };
}

function ipv6Host(text: string): Destination["host"] | undefined {
  const address = parseIp(text);
  return address?.length === 16 ? hostFromAddress(address) : undefined;
}
