import { describe, expect, test } from "bun:test";
import type { ConnectResult } from "../../../src/client/proxy/negotiation.ts";
import { bytes, CREDENTIALS, connectStep, play, text } from "./harness.ts";

const NO_AUTH = "\x05\x01\x00";
const PASSWORD = "\x05\x01\x02";
const OK_TAIL = "\x00\x01\x00\x00\x00\x00\x00\x00";

function named(name: string, port = "\x01\xbb"): string {
  return `\x05\x01\x00\x03${String.fromCharCode(name.length)}${name}${port}`;
}

function login(user: Uint8Array, password: Uint8Array): string {
  return `\x01${String.fromCharCode(user.length)}${text(user)}${String.fromCharCode(password.length)}${text(password)}`;
}

const utf8 = (value: string) => new TextEncoder().encode(value);
const ALICE = login(utf8(CREDENTIALS.user), utf8(CREDENTIALS.password));

describe("a SOCKS5 request", () => {
  test("for a name connects to the name, and success is reported only with the answer", () => {
    expect(play(bytes(NO_AUTH + named("example.com")))).toEqual({
      kind: "connect",
      protocol: "socks5",
      destination: "name example.com 443",
      written: `\x05\x00\x05\x00${OK_TAIL}`,
      forwarded: "",
      upload: "raw",
    });
  });

  test("for an IPv4 address connects to the address", () => {
    const request = `${NO_AUTH}\x05\x01\x00\x01\xc0\x00\x02\x21\x00\x50`;
    expect(play(bytes(request)).destination).toBe("ipv4 192.0.2.33 80");
  });

  test("for an IPv6 address connects to the address", () => {
    const address = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01";
    expect(play(bytes(`${NO_AUTH}\x05\x01\x00\x04${address}\xff\xff`)).destination).toBe(
      "ipv6 2001:db8::1 65535",
    );
  });

  test.each([
    ["127.0.0.1", "ipv4 127.0.0.1 443"],
    ["::1", "ipv6 ::1 443"],
    ["2001:DB8::8", "ipv6 2001:db8::8 443"],
    ["127.1", "name 127.1 443"],
    ["My_Host-1.Example.", "name My_Host-1.Example. 443"],
    ["a".repeat(255), `name ${"a".repeat(255)} 443`],
  ])("whose name is %s goes to %s", (name, destination) => {
    expect(play(bytes(NO_AUTH + named(name))).destination).toBe(destination);
  });

  test("passes on what the application sent behind it", () => {
    expect(play(bytes(`${NO_AUTH}${named("h")}GET / \x05\x01`)).forwarded).toBe("GET / \x05\x01");
  });

  test("gives an address bytes of its own, so that it keeps no connection's buffer alive", () => {
    const { host } = connectStep(bytes(`${NO_AUTH}\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50`)).destination;
    if (host.kind !== "ipv4") throw new Error(`expected ipv4, got ${host.kind}`);
    expect([...new Uint8Array(host.address.buffer)]).toEqual([127, 0, 0, 1]);
  });
});

describe("SOCKS5 methods", () => {
  test("without a password: none is chosen among several", () => {
    expect(play(bytes("\x05\x03\x01\x02\x00"))).toEqual({ kind: "more", written: "\x05\x00" });
  });

  test.each(["\x05\x00", "\x05\x01\x02", "\x05\x02\x01\x80"])(
    "without a password: %j is not acceptable",
    (greeting) => {
      expect(play(bytes(greeting))).toEqual({
        kind: "reject",
        written: "\x05\xff",
        reason: "only methods with authentication offered",
      });
    },
  );

  test("with a password: a client that offers none is turned away", () => {
    expect(play(bytes(NO_AUTH + named("h")), [], CREDENTIALS)).toEqual({
      kind: "reject",
      written: "\x05\xff",
      reason: "no password offered",
    });
  });

  test("with a password: the right one lets the request through", () => {
    const summary = play(bytes(PASSWORD + ALICE + named("h")), [3], CREDENTIALS);
    expect(summary.destination).toBe("name h 443");
    expect(summary.written).toBe(`\x05\x02\x01\x00\x05\x00${OK_TAIL}`);
  });

  test.each([
    ["a wrong password", login(utf8("alice"), utf8("s3cret"))],
    ["a wrong user", login(utf8("bob"), utf8(CREDENTIALS.password))],
    ["a password that only starts right", login(utf8("alice"), utf8(`${CREDENTIALS.password}x`))],
    ["a password repeated", login(utf8("alice"), utf8(CREDENTIALS.password.repeat(2)))],
    ["nothing at all", login(utf8(""), utf8(""))],
    ["a user that swallowed the password", login(utf8(`alice${CREDENTIALS.password}`), utf8(""))],
  ])("with a password: %s is refused", (_, message) => {
    expect(play(bytes(PASSWORD + message + named("h")), [], CREDENTIALS)).toEqual({
      kind: "reject",
      written: "\x05\x02\x01\x01",
      reason: "wrong user or password",
    });
  });

  test("with a password: a request in place of the password is refused at its first byte", () => {
    expect(play(bytes(`${PASSWORD}\x05`), [], CREDENTIALS).written).toBe("\x05\x02\x01\x01");
  });

  test("with a password: the longest messages the formats allow fit", () => {
    const credentials = { user: "u".repeat(255), password: "p".repeat(255) };
    const greeting = `\x05\xff${"\x02".repeat(255)}`;
    const input =
      greeting + login(utf8(credentials.user), utf8(credentials.password)) + named("n".repeat(255));
    expect(play(bytes(`${input}early`), [], credentials).forwarded).toBe("early");
  });
});

describe("a SOCKS5 request is refused", () => {
  test.each([
    ["with 7 for BIND", "\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", 7],
    ["with 7 for UDP ASSOCIATE", "\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", 7],
    ["with 8 for an unknown address type", "\x05\x01\x00\x02", 8],
    ["with 1 for port 0", named("h", "\x00\x00"), 1],
    ["with 1 for another version", "\x04", 1],
    ["with 4 for an empty name", named(""), 4],
    ["with 4 for a name with a space", named("a b"), 4],
    ["with 4 for a name with a NUL", named("a\x00b"), 4],
    ["with 4 for a name that is not ASCII", named("m\xfcnchen.de"), 4],
    ["with 4 for a name with a slash", named("a/b"), 4],
    ["with 4 for a name with a port", named("a:80"), 4],
    ["with 4 for IPv6 in brackets", named("[::1]"), 4],
    ["with 4 for an address with a zone", named("fe80::1%eth0"), 4],
    ["with 4 for an empty label", named("a..b"), 4],
    ["with 4 for the root", named("."), 4],
  ])("%s", (_, request, code) => {
    const summary = play(bytes(NO_AUTH + request));
    expect(summary.kind).toBe("reject");
    expect(summary.written).toBe(`\x05\x00\x05${String.fromCharCode(code)}${OK_TAIL}`);
  });
});

test.each<[ConnectResult, number]>([
  ["connected", 0],
  ["general", 1],
  ["policy", 2],
  ["netUnreachable", 3],
  ["noTunnel", 3],
  ["lost", 1],
  ["hostUnreachable", 4],
  ["nameNotFound", 4],
  ["nameServerFailed", 4],
  ["refused", 5],
  ["timeout", 6],
  ["overloaded", 1],
])("SOCKS5 answers %s with %d", (result, code) => {
  const negotiated = connectStep(bytes(NO_AUTH + named("h")));
  expect(text(negotiated.answer(result))).toBe(`\x05\x00\x05${String.fromCharCode(code)}${OK_TAIL}`);
});
