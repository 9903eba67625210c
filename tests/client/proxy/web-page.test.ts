import { describe, expect, test } from "bun:test";
import { bytes, play } from "./harness.ts";

/**
 * What a web page can make a browser on this machine send to the proxy's port: requests with a path for a target, with
 * a body of the page's choice, under a Host of the page's choice (DNS rebinding), and TLS. Nothing of it may be a
 * request to connect, and nothing behind a refused head may be looked at.
 */
const HOSTS = [
  "127.0.0.1:1080",
  "localhost:1080",
  "[::1]:1080",
  "evil.example:1080",
  "evil.example",
] as const;

/** Bodies that would be requests, if anybody read them as the beginning of something. */
const SMUGGLED = [
  ["SOCKS5", "\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x16"],
  ["SOCKS4a", "\x04\x01\x00\x16\x00\x00\x00\x01\x00localhost\x00"],
  ["CONNECT", "CONNECT localhost:22 HTTP/1.1\r\n\r\n"],
  ["a proxied GET", "GET http://localhost/ HTTP/1.1\r\n\r\n"],
] as const;

function refused(input: string, status = "400"): void {
  const { kind, written } = play(bytes(input));
  expect([kind, written.slice(0, 13)]).toEqual(["reject", `HTTP/1.1 ${status} `]);
  // One answer, without a word that lets a script read it across origins.
  expect(written.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  expect(written).not.toMatch(/^access-control-|^set-cookie/im);
}

describe.each(HOSTS)("a page that reaches the port as %s is refused:", (host) => {
  test.each(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])("%s of a path", (method) => {
    refused(`${method} /x?url=http://localhost/ HTTP/1.1\r\nHost: ${host}\r\nOrigin: http://${host}\r\n\r\n`);
  });

  test("a preflight for the private network", () => {
    refused(
      `OPTIONS / HTTP/1.1\r\nHost: ${host}\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Private-Network: true\r\n\r\n`,
    );
  });

  test("a WebSocket", () => {
    refused(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
  });

  test.each(SMUGGLED)("a form whose body is %s", (_, body) => {
    refused(
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  });

  test.each(["//localhost/", "/http://localhost/", "/\\localhost", "/%0d%0aCONNECT%20localhost:22"])(
    "a path that looks like more: %s",
    (path) => refused(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
  );
});

test("what the same bytes would do as a request of their own: this test can fail", () => {
  for (const [, body] of SMUGGLED.slice(1)) expect(play(bytes(body)).kind).toBe("connect");
});
