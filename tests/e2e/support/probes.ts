import type { Route } from "./settings.ts";

/** A request that somebody sends who suspects a tunnel. `headers` are those that only a WebSocket needs. */
export interface Probe {
  readonly name: string;
  readonly headers: readonly string[];
  /** The bytes, in the pieces in which they are sent, with these headers or with none of them. */
  readonly shape: (headers: readonly string[]) => readonly string[];
}

/** Tokens as a prober may have them: a valid one opens once, so each is made when it is needed. */
export interface Tokens {
  /** Fresh and valid. */
  valid(): string;
  /** Valid, but used before. */
  readonly used: string;
  readonly wrong: string;
}

const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION = "Sec-WebSocket-Version: 13";
const UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"];
export const WEBSOCKET: readonly string[] = [...UPGRADE, VERSION, KEY];

const cookie = (token: string) => `Cookie: sid=${token}`;

type Shape = Probe["shape"];

/** One request with `line` first. `more` are headers that stay in the comparison. */
function request(line: string, more: readonly string[] = ["Host: localhost"], body = ""): Shape {
  return (headers) => [[line, ...more, ...headers, "", body].join("\r\n")];
}

const HOME = request("GET / HTTP/1.1");
const host = (...more: string[]) => ["Host: localhost", ...more];

/** A client's first WebSocket frame, sent without waiting for the 101: binary, masked, 4 bytes. */
const FRAME = "\x82\x84\x00\x00\x00\x00abcd";

const SHAPES: Readonly<Record<string, Shape>> = {
  "the home page": HOME,
  "another file": request("GET /style.css HTTP/1.1"),
  "what is not there": request("GET /missing HTTP/1.1"),
  "a directory": request("GET /sub HTTP/1.1"),
  "a hidden file": request("GET /.env HTTP/1.1"),
  "dot segments": request("GET /sub/../style.css HTTP/1.1"),
  "encoded dot segments": request("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1"),
  "a double slash": request("GET //style.css HTTP/1.1"),
  "a query": request("GET /?ws=1 HTTP/1.1"),
  "a fragment": request("GET /#x HTTP/1.1"),
  "a bad escape": request("GET /%zz HTTP/1.1"),
  "a NUL": request("GET /%00 HTTP/1.1"),
  "a long path": request(`GET /${"a/".repeat(2_000)} HTTP/1.1`),
  "a raw byte in the path": request("GET /\xff HTTP/1.1"),
  "no path": request("GET style.css HTTP/1.1"),
  "an asterisk": request("OPTIONS * HTTP/1.1"),
  "an asterisk, GET": request("GET * HTTP/1.1"),
  "an absolute URI": request("GET http://localhost/ HTTP/1.1"),
  "an absolute URI of another host": request("GET http://other.example/ HTTP/1.1"),
  HEAD: request("HEAD / HTTP/1.1"),
  POST: request("POST / HTTP/1.1", host("Content-Length: 3"), "a=b"),
  PUT: request("PUT /style.css HTTP/1.1", host("Content-Length: 0")),
  OPTIONS: request("OPTIONS / HTTP/1.1"),
  TRACE: request("TRACE / HTTP/1.1"),
  CONNECT: request("CONNECT localhost:443 HTTP/1.1"),
  "a method nobody knows": request("FOO / HTTP/1.1"),
  "a method in lower case": request("get / HTTP/1.1"),
  "HTTP/1.0": request("GET / HTTP/1.0"),
  "HTTP/1.0 with keep-alive": request("GET / HTTP/1.0", host("Keep-Alive: 5")),
  "HTTP/1.0 without Host": request("GET / HTTP/1.0", []),
  "HTTP/1.2": request("GET / HTTP/1.2"),
  "HTTP/0.9": request("GET /"),
  "no Host": request("GET / HTTP/1.1", []),
  "an empty Host": request("GET / HTTP/1.1", ["Host:"]),
  "two Hosts": request("GET / HTTP/1.1", ["Host: localhost", "Host: other.example"]),
  "a Host with a port": request("GET / HTTP/1.1", ["Host: localhost:443"]),
  "a Host that is none": request("GET / HTTP/1.1", ["Host: a b["]),
  "a Host with a port that is none": request("GET /missing HTTP/1.1", ["Host: localhost:99999"]),
  "a Host with half a bracket": request("GET /missing HTTP/1.1", ["Host: [::1"]),
  "another Host": request("GET / HTTP/1.1", ["Host: other.example"]),
  "a range": request("GET /style.css HTTP/1.1", host("Range: bytes=1-3")),
  ranges: request("GET /style.css HTTP/1.1", host("Range: bytes=0-1,3-4")),
  "a bad range": request("GET /style.css HTTP/1.1", host("Range: bytes=99-")),
  "If-None-Match": request("GET /style.css HTTP/1.1", host("If-None-Match: *")),
  "If-Match": request("GET /style.css HTTP/1.1", host('If-Match: "a"')),
  "a head of 12 KB": request("GET / HTTP/1.1", host(`X: ${"y".repeat(12_000)}`)),
  "a head of 60 KB": request("GET / HTTP/1.1", host(`X: ${"y".repeat(60_000)}`)),
  "300 headers": request("GET / HTTP/1.1", host(...new Array<string>(300).fill("A: b"))),
  "a slow head": (headers) =>
    request("GET / HTTP/1.1")(headers).flatMap((text) => text.match(/[\s\S]{1,40}/g) ?? []),
  "a body": request("GET / HTTP/1.1", host("Content-Length: 3"), "abc"),
  "a chunked body": request("POST / HTTP/1.1", host("Transfer-Encoding: chunked"), "3\r\nabc\r\n0\r\n\r\n"),
  "a broken chunk": request("POST / HTTP/1.1", host("Transfer-Encoding: chunked"), "ZZ\r\n"),
  "length and chunks": request(
    "POST / HTTP/1.1",
    host("Content-Length: 1", "Transfer-Encoding: chunked"),
    "0\r\n\r\n",
  ),
  "two lengths": request("POST / HTTP/1.1", host("Content-Length: 1", "Content-Length: 2"), "ab"),
  "a negative length": request("POST / HTTP/1.1", host("Content-Length: -1")),
  "Expect: 100-continue": request(
    "POST / HTTP/1.1",
    host("Content-Length: 3", "Expect: 100-continue"),
    "abc",
  ),
  "a frame behind the head": (headers) => [`${HOME(headers)[0]}${FRAME}`],
  pipelining: (headers) => [
    [...HOME(headers), ...HOME([]), ...request("GET /missing HTTP/1.1")(headers)].join(""),
  ],
  "lines that end in LF": (headers) => HOME(headers).map((text) => text.replaceAll("\r\n", "\n")),
  "a folded header": request("GET / HTTP/1.1", host("A: b", " c")),
  "a header without colon": request("GET / HTTP/1.1", host("nonsense")),
  "a control character": request("GET / HTTP/1.1", host("A: b\x01")),
  "empty lines before it": (headers) => HOME(headers).map((text) => `\r\n\r\n${text}`),
};

/**
 * Without Caddy these differ (docs/TESTING.md): to a GET Bun says "100 Continue" twice, once where it has a valid
 * Sec-WebSocket-Key, before anybody is asked.
 */
const BEHIND_CADDY: Readonly<Record<string, Shape>> = {
  "GET, Expect: 100-continue": request("GET / HTTP/1.1", host("Expect: 100-continue")),
  "GET, Expect: 100-continue, and no body": request(
    "GET / HTTP/1.1",
    host("Content-Length: 0", "Expect: 100-continue"),
  ),
};

/** Whatever may be wrong with an upgrade, beside its token. */
const UPGRADES: Readonly<Record<string, readonly string[]>> = {
  "without a key": [...UPGRADE, VERSION],
  "with a short key": [...UPGRADE, VERSION, "Sec-WebSocket-Key: AAAA"],
  "with a long key": [...UPGRADE, VERSION, `Sec-WebSocket-Key: ${"A".repeat(500)}==`],
  "with a key that is no base64": [...UPGRADE, VERSION, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="],
  "with two keys": [...WEBSOCKET, KEY],
  "without a version": [...UPGRADE, KEY],
  "of version 8": [...UPGRADE, "Sec-WebSocket-Version: 8", KEY],
  "of version 99": [...UPGRADE, "Sec-WebSocket-Version: 99", KEY],
  "of two versions": [...WEBSOCKET, VERSION],
  "to h2c": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"],
  "to TLS": ["Connection: Upgrade", "Upgrade: TLS/1.2"],
  "to nothing": ["Connection: Upgrade", "Upgrade:"],
  "to several": ["Connection: Upgrade", "Upgrade: h2c, websocket", VERSION, KEY],
  "written otherwise": ["connection: UPGRADE", "upgrade: WebSocket", VERSION.toLowerCase(), KEY],
  "with keep-alive": ["Connection: keep-alive, Upgrade", "Upgrade: websocket", VERSION, KEY],
  "without Connection": ["Upgrade: websocket", VERSION, KEY],
  "without Upgrade": ["Connection: Upgrade", VERSION, KEY],
  "with two Connections": ["Connection: keep-alive", ...WEBSOCKET],
  "with extensions": [...WEBSOCKET, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"],
  "with a protocol": [...WEBSOCKET, "Sec-WebSocket-Protocol: chat, superchat"],
  "with an origin": [...WEBSOCKET, "Origin: https://localhost"],
  "with a forged address": [...WEBSOCKET, "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1"],
};

/** A head that never ends takes as long as the server waits. */
const UNFINISHED: Shape = (headers) => HOME(headers).map((text) => text.slice(0, -2));

/** All probes but those with a token; `patient` ones wait for the server's patience to end. */
export function strangersProbes(
  wrong: string,
  { patient, route }: { readonly patient: boolean; readonly route: Route },
): readonly Probe[] {
  const headers = [...WEBSOCKET, cookie(wrong)];
  const shapes = { ...SHAPES, ...(route === "caddy" ? BEHIND_CADDY : {}) };
  return [
    ...(patient ? [{ name: "an unfinished head", headers, shape: UNFINISHED }] : []),
    ...Object.entries(shapes).map(([name, shape]) => ({ name, headers, shape })),
    ...Object.entries(UPGRADES).map(([name, upgrade]) => ({
      name: `an upgrade ${name}`,
      headers: [...upgrade, cookie(wrong)],
      shape: HOME,
    })),
    { name: "Connection: close", headers, shape: request("GET / HTTP/1.1", host("Connection: close")) },
  ];
}

/** Probes with tokens of every kind, also with ones that would open in a request that is right. */
export function tokenProbes({ valid, used, wrong }: Tokens): readonly Probe[] {
  const good = valid();
  const flipped = `${good.slice(0, -1)}${good.endsWith("A") ? "E" : "A"}`;
  const upgrades: Readonly<Record<string, readonly string[]>> = {
    "no token": [],
    "another cookie": ["Cookie: theme=dark"],
    "an empty token": [cookie("")],
    "a wrong token": [cookie(wrong)],
    "a token with one bit flipped": [cookie(flipped)],
    "a token cut short": [cookie(good.slice(0, -1))],
    "a token too long": [cookie(`${good}A`)],
    "a token of nothing but padding": [cookie("=".repeat(43))],
    "a token of 5,000 characters": [cookie("A".repeat(5_000))],
    "a token of other bytes": [cookie("\xff".repeat(43))],
    "a token that was used": [cookie(used)],
    "a token in quotes": [cookie(`"${good}"`)],
    "a token under another name": [`Cookie: SID=${good}; id=${good}`],
    "a token behind a wrong one": [`Cookie: sid=${wrong}; sid=${good}`],
    "a token in Authorization": [`Authorization: Bearer ${good}`],
    "a token as protocol": [`Sec-WebSocket-Protocol: ${good}`],
  };
  const without: Readonly<Record<string, Probe>> = {
    "no upgrade": { name: "", headers: [cookie(valid())], shape: HOME },
    "no key": { name: "", headers: [...UPGRADE, VERSION, cookie(valid())], shape: HOME },
    "version 8": {
      name: "",
      headers: [...UPGRADE, "Sec-WebSocket-Version: 8", KEY, cookie(valid())],
      shape: HOME,
    },
    "another path": {
      name: "",
      headers: [...WEBSOCKET, cookie(valid())],
      shape: request("GET /sub/ HTTP/1.1"),
    },
    POST: {
      name: "",
      headers: [...WEBSOCKET, cookie(valid())],
      shape: request("POST / HTTP/1.1", host("Content-Length: 0")),
    },
    HEAD: { name: "", headers: [...WEBSOCKET, cookie(valid())], shape: request("HEAD / HTTP/1.1") },
  };
  return [
    ...Object.entries(upgrades).map(([name, more]) => ({
      name,
      headers: [...WEBSOCKET, ...more],
      shape: HOME,
    })),
    ...Object.entries(without).map(([name, probe]) => ({ ...probe, name: `a valid token, but ${name}` })),
  ];
}
