import type { ProxyCredentials } from "../../../src/client/proxy/negotiation.ts";
import { bytes, CREDENTIALS } from "./harness.ts";

export interface Sample {
  readonly name: string;
  readonly input: Uint8Array;
  readonly credentials?: ProxyCredentials;
}

const LOGIN = "\x05\x02\x00\x02\x01\x05alice\x09s3cret:\xc3\xa4";
const BASIC = Buffer.from(`${CREDENTIALS.user}:${CREDENTIALS.password}`, "utf8").toString("base64");
const AUTHORIZATION = `Proxy-Authorization: Basic ${BASIC}\r\n`;
const POST = "POST http://h.example:8080/p?q HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\r\n";

function open(name: string, text: string): Sample {
  return { name, input: bytes(text) };
}

function locked(name: string, text: string): Sample {
  return { name: `${name}, with a password`, input: bytes(text), credentials: CREDENTIALS };
}

/** Short inputs of every protocol, good and bad, each with bytes behind its request. */
export const CORPUS: readonly Sample[] = [
  open("SOCKS5 name", "\x05\x02\x00\x01\x05\x01\x00\x03\x0bexample.com\x01\xbbearly data"),
  open("SOCKS5 IPv4", "\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50early"),
  open("SOCKS5 IPv6", `\x05\x01\x00\x05\x01\x00\x04${"\x00".repeat(15)}\x01\x00\x50early`),
  open("SOCKS5 address as a name", "\x05\x01\x00\x05\x01\x00\x03\x03::1\x01\xbbearly"),
  open("SOCKS5 bad name", "\x05\x01\x00\x05\x01\x00\x03\x03a b\x01\xbbearly"),
  open("SOCKS5 BIND", "\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50"),
  open("SOCKS5 unknown address type", "\x05\x01\x00\x05\x01\x00\x02\x7f\x00\x00\x01\x00\x50"),
  open("SOCKS5 no method", "\x05\x01\x02\x01\x05alice"),
  locked("SOCKS5", `${LOGIN}\x05\x01\x00\x03\x01h\x01\xbbearly`),
  locked("SOCKS5 wrong password", `${LOGIN.slice(0, -1)}x\x05\x01\x00\x03\x01h\x01\xbb`),
  locked("SOCKS5 no password", "\x05\x01\x00\x05\x01\x00\x03\x01h\x01\xbb"),
  open("SOCKS4", "\x04\x01\x00\x50\x7f\x00\x00\x01user\x00early"),
  open("SOCKS4a", "\x04\x01\x00\x50\x00\x00\x00\x01user\x00example.com\x00early"),
  open("SOCKS4 BIND", "\x04\x02\x00\x50\x7f\x00\x00\x01user\x00early"),
  locked("SOCKS4", "\x04\x01\x00\x50\x7f\x00\x00\x01alice\x00early"),
  open("CONNECT", "CONNECT [::1]:443 HTTP/1.1\r\nHost: h\r\n\r\n\x16\x03\x01early"),
  locked("CONNECT", `CONNECT h.example:443 HTTP/1.0\r\n${AUTHORIZATION}\r\nearly`),
  locked("CONNECT no password", "CONNECT h.example:443 HTTP/1.1\r\nHost: h\r\n\r\nearly"),
  open("CONNECT without port", "CONNECT h.example HTTP/1.1\r\nHost: h\r\n\r\nearly"),
  open(
    "GET",
    "GET http://h.example HTTP/1.1\r\nHost: h\r\nConnection: X\r\nX: y\r\n\r\nGET http://b/ HTTP/1.1\r\n\r\n",
  ),
  locked("GET", `GET http://h/ HTTP/1.0\r\n${AUTHORIZATION}\r\nGET http://b/ HTTP/1.1\r\n\r\n`),
  open("POST of a length", `${POST}Content-Length: 9\r\n\r\nwhat\r\n0\r\nGET http://b/ HTTP/1.1\r\n\r\n`),
  open(
    "POST in chunks",
    `${POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na;x="y"\r\n0123456789\r\n0\r\nT: u\r\n\r\nGET http://b/`,
  ),
  open("POST in broken chunks", `${POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello world\r\n0\r\n\r\n`),
  open("POST of two lengths", `${POST}Content-Length: 9\r\nContent-Length: 8\r\n\r\nwhat`),
  open("POST of two framings", `${POST}Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\nwhat`),
  open(
    "WebSocket",
    "GET http://h/ HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n\x81\x80raw",
  ),
  open("origin-form", "GET /admin HTTP/1.1\r\nHost: rebound.example\r\n\r\n"),
  open("https", "GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
  open("bare LF", "GET http://h/ HTTP/1.1\r\nHost: h\n\r\n"),
  open("folded field", "GET http://h/ HTTP/1.1\r\nHost: h\r\n h\r\n\r\n"),
  open("101 fields", `GET http://h/ HTTP/1.1\r\n${"a:\r\n".repeat(101)}\r\n`),
  open("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  open("TLS", "\x16\x03\x01\x02\x00\x01"),
];
