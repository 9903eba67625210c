import { expect, test } from "bun:test";
import { spelledIpv4 } from "../../src/server/ipv4-spelling.ts";

const spelled = (name: string) => {
  const result = spelledIpv4(name);
  return result instanceof Uint8Array ? result.join(".") : result;
};

test.each([
  ["2130706433", "127.0.0.1"],
  ["0x7f.1", "127.0.0.1"],
  ["0X7F000001", "127.0.0.1"],
  ["0177.0.0.1", "127.0.0.1"],
  ["017700000001", "127.0.0.1"],
  ["127.1", "127.0.0.1"],
  ["127.0.0.1.", "127.0.0.1"],
  ["10.66051", "10.1.2.3"],
  ["10.1.515", "10.1.2.3"],
  ["0", "0.0.0.0"],
  ["0x", "0.0.0.0"],
  ["4294967295", "255.255.255.255"],
])("%s is %s", (name, address) => {
  expect(spelled(name)).toBe(address);
});

test.each([
  "4294967296",
  "1.2.3.4.5",
  "256.1.1.1",
  "1.2.3.256",
  "08",
  "1..2",
  ".1",
  "a.1",
  "1.0x100000000",
  "-.1",
])("%s is no address and no name", (name) => {
  expect(spelled(name)).toBe("none");
});

test.each(["example.com", "1.example", "0x7f.com", "1a", "0xg", "", ".", "x.1a"])("%s is a name", (name) => {
  expect(spelled(name)).toBeUndefined();
});

test("agrees with the URL parser about every host that it takes for a number", () => {
  const parts = [
    "0",
    "1",
    "01",
    "08",
    "0x1f",
    "255",
    "256",
    "65536",
    "16777216",
    "4294967296",
    "0x",
    "a",
    "",
  ];
  for (const a of parts)
    for (const b of parts) {
      const name = `${a}.${b}`;
      const result = spelled(name);
      if (result === undefined) continue;
      expect([name, URL.parse(`http://${name}/`)?.hostname ?? "none"]).toEqual([name, result]);
    }
});
