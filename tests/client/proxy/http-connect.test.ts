import { describe, expect, test } from "bun:test";
import type { ConnectResult } from "../../../src/client/proxy/negotiation.ts";
import { answerTo, bytes, CREDENTIALS, play } from "./harness.ts";

const ESTABLISHED = "HTTP/1.1 200 Connection established\r\n\r\n";

describe("an HTTP CONNECT", () => {
  test("opens a tunnel, bytes behind the head included", () => {
    const input = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n\x16\x03\x01";
    expect(play(bytes(input))).toEqual({
      kind: "connect",
      protocol: "connect",
      destination: "name example.com 443",
      written: ESTABLISHED,
      forwarded: "\x16\x03\x01",
      upload: "raw",
    });
  });

  test.each([
    ["192.0.2.33:80", "ipv4 192.0.2.33 80"],
    ["[2001:db8::1]:65535", "ipv6 2001:db8::1 65535"],
    ["localhost:1", "name localhost 1"],
  ])("goes to %s, without a Host and in HTTP/1.0 too", (target, destination) => {
    expect(play(bytes(`CONNECT ${target} HTTP/1.0\r\n\r\n`)).destination).toBe(destination);
  });

  test.each([
    "example.com",
    "example.com:",
    "example.com:0",
    "example.com:65536",
    "example.com:123456",
    "example.com:+80",
    "example.com:80:80",
    ":443",
    "::1:443",
    "[::1]",
    "[192.0.2.1]:443",
    "[fe80::1%25eth0]:443",
    "[::1]x:443",
    "[::1:443",
    "user@example.com:443",
    "ex%61mple.com:443",
    "ex\xe4mple.com:443",
    "http://example.com:443",
    "/",
    "*",
    `${"a".repeat(256)}:443`,
  ])("to %s is refused with 400", (target) => {
    expect(play(bytes(`CONNECT ${target} HTTP/1.1\r\n\r\n`)).written).toStartWith("HTTP/1.1 400 ");
  });

  test.each(["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: x"])(
    "with %s is refused, as its body would be the tunnel's first bytes",
    (field) => {
      const input = `CONNECT h:443 HTTP/1.1\r\n${field}\r\n\r\n`;
      expect(play(bytes(input)).written).toStartWith("HTTP/1.1 400 ");
    },
  );

  test("with Content-Length: 0 is taken", () => {
    expect(play(bytes("CONNECT h:443 HTTP/1.1\r\nContent-Length: 0\r\n\r\n")).kind).toBe("connect");
  });

  test("in lower case is another method", () => {
    expect(play(bytes("connect h:443 HTTP/1.1\r\n\r\n")).written).toStartWith("HTTP/1.1 400 ");
  });
});

test.each<[ConnectResult, string]>([
  ["policy", "403 Forbidden"],
  ["timeout", "504 Gateway Timeout"],
  ["nameNotFound", "502 Bad Gateway"],
  ["nameServerFailed", "502 Bad Gateway"],
  ["refused", "502 Bad Gateway"],
  ["netUnreachable", "502 Bad Gateway"],
  ["hostUnreachable", "502 Bad Gateway"],
  ["general", "502 Bad Gateway"],
  ["overloaded", "503 Service Unavailable"],
  ["noTunnel", "503 Service Unavailable"],
  ["lost", "502 Bad Gateway"],
])("HTTP answers %s with %s and names the destination", (result, line) => {
  for (const request of [
    "CONNECT h.example:80 HTTP/1.1\r\n\r\n",
    "GET http://h.example:80/ HTTP/1.1\r\n\r\n",
  ]) {
    const answer = answerTo(result, bytes(request));
    expect(answer).toStartWith(`HTTP/1.1 ${line}\r\nContent-Type: text/plain; charset=utf-8\r\n`);
    expect(answer).toContain("\r\nConnection: close\r\n\r\nrvpn: h.example:80: ");
  }
});

describe("with a password", () => {
  const requests = [
    ["CONNECT", "CONNECT h:443 HTTP/1.1\r\n"],
    ["a plain request", "GET http://h/ HTTP/1.1\r\n"],
  ] as const;
  const basic = (user: string, password: string) =>
    Buffer.from(`${user}:${password}`, "utf8").toString("base64");
  const right = basic(CREDENTIALS.user, CREDENTIALS.password);

  for (const [what, line] of requests) {
    test(`${what} with the right one is served`, () => {
      for (const scheme of ["Basic ", "basic   "]) {
        const input = `${line}Proxy-Authorization: ${scheme}${right}\r\n\r\n`;
        expect(play(bytes(input), [], CREDENTIALS).kind).toBe("connect");
      }
    });

    test.each([
      ["nothing", ""],
      ["a wrong password", `Proxy-Authorization: Basic ${basic("alice", "wrong")}\r\n`],
      ["a wrong user", `Proxy-Authorization: Basic ${basic("bob", CREDENTIALS.password)}\r\n`],
      ["no base64", "Proxy-Authorization: Basic ***\r\n"],
      ["no token", "Proxy-Authorization: Basic\r\n"],
      ["another scheme", `Proxy-Authorization: Bearer ${right}\r\n`],
      ["the origin's field", `Authorization: Basic ${right}\r\n`],
      ["two fields", `Proxy-Authorization: Basic ${right}\r\n`.repeat(2)],
    ])(`${what} with %s is asked for it with 407`, (_, fields) => {
      const { written } = play(bytes(`${line}${fields}\r\n`), [], CREDENTIALS);
      expect(written).toStartWith(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=",
      );
    });
  }

  test("a page that aims at the port is told that it is a proxy, not asked for the password", () => {
    expect(play(bytes("GET / HTTP/1.1\r\n\r\n"), [], CREDENTIALS).written).toStartWith("HTTP/1.1 400 ");
  });
});
