import { identityFromSeed } from "../../src/proto/crypto/identity.ts";
import { checkGateToken, makeGateToken } from "../../src/proto/gate.ts";
import { formatLink, parseLink, parseServerUrl } from "../../src/proto/link-text.ts";
import { TextFormatError } from "../../src/proto/text.ts";
import { formatIp, parseIp, parseListenAddress } from "../../src/runtime/address.ts";
import {
  CONTROL_LIMITS,
  decodeReply,
  decodeRequest,
  encodeFailure,
  encodeRequest,
  encodeResult,
  LineCollector,
} from "../../src/runtime/control-protocol.ts";
import { UsageError } from "../../src/runtime/errors.ts";
import { TrustedProxies } from "../../src/server/client-address.ts";
import { Gate } from "../../src/server/gate.ts";
import { parsePolicyRule } from "../../src/server/policy-rule.ts";
import { below, seededRandom } from "../proto/support/random.ts";
import { refusable, type Target, textBytes, words } from "./target.ts";

/** What is read as text: links, rules, addresses, the gate's request, the control socket. */

const setup = seededRandom("fuzz texts");
const gateKey = setup(32);
const token = makeGateToken(gateKey, setup);
const textOf = (input: Uint8Array) => new TextDecoder().decode(input);

const link: Target = {
  name: "links",
  corpus: (["address", "invite", "seat"] as const).map((kind) =>
    textBytes(
      formatLink({
        url: "wss://vpn.example.com:8443/deep/path",
        kind,
        serverKey: identityFromSeed(setup(32)).publicKey,
        gateKey,
        secret: kind === "address" ? new Uint8Array(16) : setup(16),
      }),
    ),
  ),
  words: words("#", "wss://", "ws://", ":0", ":65536", "@", "?", "%00", "//", "[::1]", "localhost"),
  check(input) {
    const text = textOf(input);
    const parsed = refusable([TextFormatError], () => parseLink(text));
    if (parsed !== undefined && formatLink(parsed) !== text)
      throw new Error(`is written as ${formatLink(parsed)}`);
    refusable([TextFormatError], () => parseServerUrl(text));
  },
};

const RULES = ["10.0.0.0/8", "192.0.2.1:443", "[2001:db8::]/32:80,8000-8100", "::/0", "0.0.0.0/0:1-65535"];

const rule: Target = {
  name: "rules and addresses",
  corpus: words(
    ...RULES,
    "127.0.0.1:8443",
    "localhost:1",
    "[::1]:443",
    "1080",
    "fe80::1%eth0",
    "::ffff:1.2.3.4",
  ),
  words: words("/", ":", "[", "]", ",", "-", "::", "0x7f", "0177", "256", "65536", "%"),
  check(input) {
    const text = textOf(input);
    refusable([UsageError], () => parsePolicyRule(text, "--allow"));
    refusable([UsageError], () => parseListenAddress(text, "--listen"));
    const address = parseIp(text);
    if (address === undefined) return;
    const again = parseIp(formatIp(address));
    if (again === undefined || formatIp(again) !== formatIp(address))
      throw new Error("an address changes in writing");
  },
};

const proxies = new TrustedProxies(["10.0.0.0/8"]);

const forwarded: Target = {
  name: "X-Forwarded-For",
  corpus: words(
    "203.0.113.9",
    "10.1.1.1, 203.0.113.9",
    "2001:db8::1, 10.0.0.1",
    "unknown",
    "_hidden, 1.2.3.4",
  ),
  words: words(",", ", ", "10.0.0.1", "::1", "127.0.0.1", '"[2001:db8::1]:4711"'),
  check(input) {
    const client = proxies.clientOf("127.0.0.1", textOf(input));
    if (parseIp(client) === undefined) throw new Error(`counts under ${client}`);
    if (proxies.clientOf("198.51.100.7", textOf(input)) !== "198.51.100.7")
      throw new Error("a stranger was believed");
  },
};

/** Head lines of an upgrade, the token's among them. */
const UPGRADE = [
  "GET /up HTTP/1.1",
  "Host: h",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
];

const gate: Target = {
  name: "the gate",
  corpus: words(
    [...UPGRADE, `Cookie: sid=${token}`].join("\n"),
    [...UPGRADE, "Cookie: a=b; sid="].join("\n"),
  ),
  words: words(
    "sid=",
    ";",
    "=",
    "\n",
    "Cookie: ",
    token,
    token.slice(0, -1),
    "GET",
    "POST",
    "websocket",
    "13",
  ),
  check(input) {
    const [start = "", ...lines] = textOf(input).split("\n");
    const [method = "", path = ""] = start.split(" ");
    const request = requestOf(method, path, lines);
    if (request === undefined) return;
    const fresh = new Gate({ gateKeys: () => [gateKey], path: "/up" });
    if (!fresh.admits(request)) return;
    if (!(request.headers.get("cookie") ?? "").includes(token)) throw new Error("let in without a token");
    if (checkGateToken(token, [gateKey]) === undefined) throw new Error("the token is none");
    if (fresh.admits(request)) throw new Error("let in twice by one token");
  },
};

/** What Bun would hand over; undefined for what it answers itself. */
function requestOf(method: string, path: string, lines: readonly string[]): Request | undefined {
  try {
    const headers = new Headers();
    for (const line of lines)
      headers.append(line.split(":")[0] ?? "", line.slice(line.indexOf(":") + 1).trim());
    return new Request(`http://h${path}`, { method, headers });
  } catch {
    return undefined;
  }
}

const control: Target = {
  name: "the control socket",
  corpus: [
    encodeRequest({ op: "status" }),
    encodeRequest({ op: "invite", name: "a", days: 7, url: "wss://h/" }),
    encodeResult({ clients: [{ name: "a", since: null }], ok: true }),
    encodeFailure(new UsageError("no", "do")),
  ],
  words: words(
    "\n",
    "{",
    "}",
    '"op":',
    "null",
    "1e999",
    "[[[[[[[[",
    '"__proto__":{}',
    "\\ud800",
    '"ok":true',
  ),
  check(input, random) {
    const whole = new LineCollector(CONTROL_LIMITS.maxRequestBytes).push(input);
    if (
      Bun.inspect(inPieces(input, below(random, input.length + 1))) !== Bun.inspect(whole) &&
      whole.kind !== "complete"
    )
      throw new Error("depends on the split");
    const line = whole.kind === "complete" ? whole.line : input;
    const request = decodeRequest(line);
    if (request !== undefined && typeof request.op !== "string") throw new Error("a request without op");
    refusable([Error], () => decodeReply(line));
    if (({} as { op?: unknown }).op !== undefined) throw new Error("a prototype was changed");
  },
};

function inPieces(input: Uint8Array, at: number) {
  const collector = new LineCollector(CONTROL_LIMITS.maxRequestBytes);
  const first = collector.push(input.subarray(0, at));
  return first.kind === "incomplete" ? collector.push(input.subarray(at)) : first;
}

export const TEXT_TARGETS: readonly Target[] = [link, rule, forwarded, gate, control];
