import { describe, expect, test } from "bun:test";
import { answerTo, bytes, CREDENTIALS, play } from "./harness.ts";

const GRANTED = "\x00\x5a\x00\x00\x00\x00\x00\x00";
const REJECTED = "\x00\x5b\x00\x00\x00\x00\x00\x00";

describe("a SOCKS4 request", () => {
  test("connects to its address", () => {
    expect(play(bytes("\x04\x01\x00\x50\xc0\x00\x02\x21me\x00hello"))).toEqual({
      kind: "connect",
      protocol: "socks4",
      destination: "ipv4 192.0.2.33 80",
      written: GRANTED,
      forwarded: "hello",
      upload: "raw",
    });
  });

  test("takes 0.0.0.0 for an address", () => {
    expect(play(bytes("\x04\x01\x00\x50\x00\x00\x00\x00\x00")).destination).toBe("ipv4 0.0.0.0 80");
  });

  test.each([
    ["example.com", "name example.com 443"],
    ["10.0.0.1", "ipv4 10.0.0.1 443"],
    ["fd00::1", "ipv6 fd00::1 443"],
  ])("of version 4a connects to %s", (name, destination) => {
    const summary = play(bytes(`\x04\x01\x01\xbb\x00\x00\x00\x01\x00${name}\x00early`));
    expect(summary.destination).toBe(destination);
    expect(summary.forwarded).toBe("early");
  });

  test("is answered with 0x5B when the dial fails", () => {
    expect(answerTo("refused", bytes("\x04\x01\x00\x50\x7f\x00\x00\x01\x00"))).toBe(REJECTED);
    expect(answerTo("noTunnel", bytes("\x04\x01\x00\x50\x7f\x00\x00\x01\x00"))).toBe(REJECTED);
  });

  test("with user id and name at their longest fits", () => {
    const input = `\x04\x01\x01\xbb\x00\x00\x00\x01${"u".repeat(255)}\x00${"n".repeat(255)}\x00early`;
    expect(play(bytes(input)).forwarded).toBe("early");
  });
});

describe("a SOCKS4 request is refused", () => {
  const address = "\x00\x50\x7f\x00\x00\x01";
  const named = "\x04\x01\x01\xbb\x00\x00\x00\x01\x00";
  test.each([
    ["for BIND", `\x04\x02${address}\x00`, "command 2 is not supported"],
    ["for port 0", "\x04\x01\x00\x00\x7f\x00\x00\x01\x00", "port 0"],
    ["for an empty name", `${named}\x00`, "not a host name"],
    ["for a name with a space", `${named}a b\x00`, "not a host name"],
    ["for an endless user id", `\x04\x01${address}${"u".repeat(256)}`, "user id or name too long"],
    ["for an endless name", `${named}${"n".repeat(256)}`, "user id or name too long"],
  ])("%s", (_, input, reason) => {
    expect(play(bytes(input))).toEqual({ kind: "reject", written: REJECTED, reason });
  });

  test("with a password configured, whatever user id it claims", () => {
    const input = bytes(`\x04\x01${address}${CREDENTIALS.user}\x00`);
    expect(play(input, [], CREDENTIALS)).toEqual({
      kind: "reject",
      written: "\x00\x5d\x00\x00\x00\x00\x00\x00",
      reason: "SOCKS4 cannot send the password",
    });
  });
});
