import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";
import { formatIp, isLoopback, mappedIpv4, parseIp, parseListenAddress } from "../../src/runtime/address.ts";
import { UsageError } from "../../src/runtime/errors.ts";

function hex(text: string): string | undefined {
  return parseIp(text)?.toHex();
}

describe("parseIp", () => {
  test.each([
    ["0.0.0.0", "00000000"],
    ["127.0.0.1", "7f000001"],
    ["255.255.255.255", "ffffffff"],
    ["::", "00000000000000000000000000000000"],
    ["::1", "00000000000000000000000000000001"],
    ["1::", "00010000000000000000000000000000"],
    ["2001:db8::8:800:200C:417A", "20010db80000000000080800200c417a"],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["1:2:3:4:5:6:7::", "00010002000300040005000600070000"],
    ["::2:3:4:5:6:7:8", "00000002000300040005000600070008"],
    ["::ffff:192.0.2.33", "00000000000000000000ffffc0000221"],
    ["::192.0.2.33", "000000000000000000000000c0000221"],
    ["64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221"],
    ["1:2:3:4:5:6:1.2.3.4", "00010002000300040005000601020304"],
    ["ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffffffffffffffffffffffffffffffff"],
  ])("reads %s", (text, expected) => {
    expect(hex(text)).toBe(expected);
  });

  test.each([
    "",
    " ",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.01",
    "256.0.0.1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.4.",
    "1.2.3.4 ",
    "1.2.3.4\n",
    "1.2.3.+4",
    "1.2.3.4/32",
    "١.2.3.4",
    ":",
    ":::",
    "::::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "12345::",
    "g::",
    "::1.2.3",
    "::1.2.3.04",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "fe80::1%eth0",
    "fe80::1%1",
    "[::1]",
    "::1 ",
    "::1\n",
    "-1::",
  ])("refuses %j", (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  test("agrees with node:net on random texts, except that node takes zone ids", () => {
    const alphabet = ["1", "ff", "0", "::", ":", ".", "1.2.3.4", "abcd", "255", "00", "%1"];
    const pick = (): string => alphabet[Math.floor(Math.random() * alphabet.length)] ?? "";
    for (let round = 0; round < 20_000; round++) {
      const text = Array.from({ length: 1 + Math.floor(Math.random() * 16) }, pick).join("");
      const expected = text.includes("%") ? 0 : isIP(text);
      expect([text, parseIp(text)?.length]).toEqual([text, { 0: undefined, 4: 4, 6: 16 }[expected]]);
    }
  });
});

describe("formatIp", () => {
  test.each([
    ["0.0.0.0", "0.0.0.0"],
    ["192.0.2.33", "192.0.2.33"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:DB8::ABCD", "2001:db8::abcd"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"],
    ["0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"],
    ["::ffff:c000:221", "::ffff:192.0.2.33"],
    ["64:ff9b::c000:221", "64:ff9b::c000:221"],
  ])("writes %s as %s", (text, expected) => {
    expect(formatIp(parseIp(text) ?? new Uint8Array())).toBe(expected);
  });

  test("is undone by parseIp, for random addresses with many zeros", () => {
    for (let round = 0; round < 5_000; round++) {
      const bytes = crypto.getRandomValues(new Uint8Array(round % 2 === 0 ? 16 : 4));
      for (let index = 0; index < bytes.length; index++) if (Math.random() < 0.6) bytes[index] = 0;
      expect(hex(formatIp(bytes))).toBe(bytes.toHex());
    }
  });

  test("refuses any length but 4 and 16", () => {
    expect(() => formatIp(new Uint8Array(5))).toThrow("an address has 4 or 16 bytes, got 5");
  });
});

test("mappedIpv4 finds only what ::ffff:0:0/96 holds", () => {
  const inside = (text: string): string | undefined => mappedIpv4(parseIp(text) ?? new Uint8Array())?.toHex();
  expect(inside("::ffff:10.1.2.3")).toBe("0a010203");
  for (const text of ["::10.1.2.3", "1::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "10.1.2.3"]) {
    expect([text, inside(text)]).toEqual([text, undefined]);
  }
});

test("isLoopback knows 127.0.0.0/8, ::1 and their mapped form, and nothing else", () => {
  const judge = (text: string): boolean => isLoopback(parseIp(text) ?? new Uint8Array());
  const inside = ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"];
  const outside = [
    "126.255.255.255",
    "128.0.0.0",
    "0.0.0.0",
    "::",
    "::2",
    "1::1",
    "::127.0.0.1",
    "::ffff:1.2.3.4",
  ];
  expect(inside.filter((text) => !judge(text))).toEqual([]);
  expect(outside.filter(judge)).toEqual([]);
});

describe("parseListenAddress", () => {
  test.each([
    ["1080", "127.0.0.1", 1080],
    ["0", "127.0.0.1", 0],
    ["0.0.0.0:1080", "0.0.0.0", 1080],
    ["localhost:65535", "127.0.0.1", 65_535],
    ["[::1]:1080", "::1", 1080],
    ["[0:0:0:0:0:0:0:0]:80", "::", 80],
  ])("reads %s", (text, host, port) => {
    expect(parseListenAddress(text, "--proxy")).toMatchObject({ host, port });
  });

  test("takes the default host where none is given", () => {
    expect(parseListenAddress("80", "--listen", "::").host).toBe("::");
  });

  test.each([
    "",
    ":1080",
    "65536",
    "100000",
    "-1",
    "+80",
    "1080 ",
    "127.0.0.1",
    "127.0.0.1:",
    "127.1:1080",
    "::1:1080",
    "[::1]",
    "[::1]1080",
    "[127.0.0.1]:1080",
    "[fe80::1%eth0]:1080",
    "example.com:1080",
    "[]:80",
  ])("refuses %j with a hint", (text) => {
    const attempt = (): unknown => parseListenAddress(text, "--proxy");
    expect(attempt).toThrow(UsageError);
    expect(attempt).toThrow("--proxy");
  });
});
