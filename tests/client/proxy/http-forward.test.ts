import { describe, expect, test } from "bun:test";
import { bytes, play } from "./harness.ts";

function forwarded(input: string): string | undefined {
  return play(bytes(input)).forwarded;
}

describe("a plain HTTP request", () => {
  test("reaches the origin in origin-form, with the URI's Host and a request to close", () => {
    const input =
      "GET http://Example.com:8080/a/b?c=d HTTP/1.1\r\nHost: other.example\r\nUser-Agent: curl\r\nAccept: */*\r\n\r\n";
    expect(play(bytes(input))).toEqual({
      kind: "connect",
      protocol: "http",
      destination: "name Example.com 8080",
      written: "",
      forwarded:
        "GET /a/b?c=d HTTP/1.1\r\nHost: Example.com:8080\r\nUser-Agent: curl\r\nAccept: */*\r\nConnection: close\r\n\r\n",
      upload: "done",
    });
  });

  test.each([
    ["http://h", "GET / HTTP/1.1\r\nHost: h\r\n", "name h 80"],
    ["HTTP://h/", "GET / HTTP/1.1\r\nHost: h\r\n", "name h 80"],
    ["http://h?q", "GET /?q HTTP/1.1\r\nHost: h\r\n", "name h 80"],
    ["http://h:/x", "GET /x HTTP/1.1\r\nHost: h\r\n", "name h 80"],
    ["http://h:80/x", "GET /x HTTP/1.1\r\nHost: h:80\r\n", "name h 80"],
    ["http://[::1]:81/x", "GET /x HTTP/1.1\r\nHost: [::1]:81\r\n", "ipv6 ::1 81"],
    ["http://127.0.0.1/x", "GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n", "ipv4 127.0.0.1 80"],
    ["http://h//a/../b//", "GET //a/../b// HTTP/1.1\r\nHost: h\r\n", "name h 80"],
    ["http://h/a@b:c?http://d/", "GET /a@b:c?http://d/ HTTP/1.1\r\nHost: h\r\n", "name h 80"],
    ["http://h/\xc3\xa9|\\^", "GET /\xc3\xa9|\\^ HTTP/1.1\r\nHost: h\r\n", "name h 80"],
  ])("for %s becomes %j", (url, head, destination) => {
    const summary = play(bytes(`GET ${url} HTTP/1.1\r\n\r\n`));
    expect(summary.forwarded).toBe(`${head}Connection: close\r\n\r\n`);
    expect(summary.destination).toBe(destination);
  });

  test.each([
    "/",
    "*",
    "h:80",
    "//h/",
    "https://h/",
    "ws://h/",
    "ftp://h/",
    "file:///etc/passwd",
    "http:/h/",
    "http://",
    "http:///x",
    "http://user@h/",
    "http://user:pass@h/",
    "http://h/#fragment",
    "http://h:0/",
    "http://h:65536/",
    "http://h\\@evil/",
    "http://h%2f/",
    "http://[::1/",
    "http://[v1.x]/",
    "http://::1/",
    "http://m\xfcnchen.de/",
  ])("for %s is refused with 400", (url) => {
    expect(play(bytes(`GET ${url} HTTP/1.1\r\nHost: h\r\n\r\n`)).written).toStartWith("HTTP/1.1 400 ");
  });

  test("OPTIONS about the server becomes OPTIONS *, about a path it keeps the path", () => {
    expect(forwarded("OPTIONS http://h HTTP/1.1\r\n\r\n")).toStartWith("OPTIONS * HTTP/1.1\r\n");
    expect(forwarded("OPTIONS http://h/ HTTP/1.1\r\n\r\n")).toStartWith("OPTIONS / HTTP/1.1\r\n");
  });

  test("loses what was meant for the proxy alone, and what Connection names", () => {
    const input =
      "GET http://h/ HTTP/1.1\r\nConnection: Keep-Alive, X-Hop\r\nProxy-Connection: keep-alive\r\nKeep-Alive: 300\r\n" +
      "Proxy-Authorization: Basic c2VjcmV0\r\nTE: trailers\r\nTrailer: X\r\nx-hop: 1\r\nUpgrade: h2c\r\nX-Kept: 1\r\n\r\n";
    expect(forwarded(input)).toBe("GET / HTTP/1.1\r\nHost: h\r\nX-Kept: 1\r\nConnection: close\r\n\r\n");
  });

  test("keeps the fields that frame its body even if Connection names them", () => {
    const input = "POST http://h/ HTTP/1.1\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\nabc";
    expect(forwarded(input)).toBe(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    );
  });

  test("keeps every other line byte for byte: case, blanks, repetition, Latin-1", () => {
    const lines = "x-ODD:   \xe9\xa0\x80\xff \t\r\nA:\r\nCookie: a=b\r\nCookie: c=d\r\n";
    expect(forwarded(`GET http://h/ HTTP/1.1\r\n${lines}\r\n`)).toBe(
      `GET / HTTP/1.1\r\nHost: h\r\n${lines}Connection: close\r\n\r\n`,
    );
  });

  test("of HTTP/1.0 stays one, so that the origin does not answer in chunks", () => {
    expect(forwarded("GET http://h/ HTTP/1.0\r\n\r\n")).toBe(
      "GET / HTTP/1.0\r\nHost: h\r\nConnection: close\r\n\r\n",
    );
    expect(forwarded("GET http://h/ HTTP/1.7\r\n\r\n")).toStartWith("GET / HTTP/1.1\r\n");
  });

  test("is alone: a second one behind it reaches nobody", () => {
    const one = "GET http://h/ HTTP/1.1\r\n\r\n";
    expect(forwarded(`${one}GET http://other/ HTTP/1.1\r\nProxy-Authorization: Basic x\r\n\r\n`)).toBe(
      forwarded(one),
    );
  });
});

describe("an upgrade", () => {
  const webSocket = "GET http://h/chat HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";

  test("to a WebSocket is passed on, and bytes flow unread behind it", () => {
    const summary = play(bytes(`${webSocket}Sec-WebSocket-Key: x\r\n\r\n\x81\x00`));
    expect(summary.upload).toBe("raw");
    expect(summary.forwarded).toBe(
      "GET /chat HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: x\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n\x81\x00",
    );
  });

  test.each([
    [
      "to h2c",
      "GET http://h/ HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
    ],
    ["to a choice", "GET http://h/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n"],
    ["that Connection does not name", "GET http://h/ HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"],
  ])("%s is left out and the request goes on without it", (_, input) => {
    const summary = play(bytes(input));
    expect(summary.forwarded).toBe("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect(summary.upload).toBe("done");
  });

  test.each([
    ["of HTTP/1.0", webSocket.replace("HTTP/1.1", "HTTP/1.0")],
    ["that is not a GET", webSocket.replace("GET", "POST")],
    ["with a body", `${webSocket}Content-Length: 1\r\n`],
  ])("%s is left out too", (_, input) => {
    const summary = play(bytes(`${input}\r\nx`));
    expect(summary.forwarded).not.toContain("Upgrade");
    expect(summary.upload).toBe("done");
  });
});
