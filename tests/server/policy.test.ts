import { describe, expect, test } from "bun:test";
import { formatIp, parseIp } from "../../src/runtime/address.ts";
import { UsageError } from "../../src/runtime/errors.ts";
import { OwnAddresses } from "../../src/server/own-addresses.ts";
import { type Decision, DestinationPolicy, type PolicyTexts } from "../../src/server/policy.ts";
import { SPECIAL_RANGES } from "../../src/server/special-ranges.ts";

function ip(text: string): Uint8Array {
  const bytes = parseIp(text);
  if (bytes === undefined) throw new Error(`the test names no address: ${text}`);
  return bytes;
}

/** A machine without addresses, or with these, `ADDRESS/LENGTH` each. */
function machine(...ranges: readonly string[]): OwnAddresses {
  const read = ranges.map((range) => {
    const [text = "", length = ""] = range.split("/");
    return { address: ip(text), length: Number(length) };
  });
  return new OwnAddresses(() => read);
}

function policyOf(
  texts: Partial<PolicyTexts> = {},
  own = machine(),
): (address: string, port?: number) => Decision {
  const policy = new DestinationPolicy({ allow: [], deny: [], ...texts }, own);
  return (address, port = 443) => policy.decide(ip(address), port);
}

describe("by default", () => {
  const decide = policyOf();

  test.each([
    ["0.0.0.0", "this host"],
    ["0.1.2.3", "this network"],
    ["10.255.255.255", "private use"],
    ["100.64.0.1", "shared address space"],
    ["100.100.100.200", "cloud metadata"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["168.63.129.16", "cloud metadata"],
    ["169.254.1.1", "link-local"],
    ["169.254.169.254", "cloud metadata"],
    ["172.16.0.1", "private use"],
    ["172.31.255.255", "private use"],
    ["192.0.0.1", "service continuity"],
    ["192.0.0.171", "NAT64 discovery"],
    ["192.0.2.1", "documentation"],
    ["192.88.99.1", "6to4 relay"],
    ["192.168.1.1", "private use"],
    ["198.19.255.255", "benchmarking"],
    ["198.51.100.7", "documentation"],
    ["203.0.113.7", "documentation"],
    ["224.0.0.1", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "limited broadcast"],
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["64:ff9b:1::808:808", "NAT64 for local use"],
    ["100::1", "discard-only"],
    ["200::1", "reserved by the IETF"],
    ["2001::1", "Teredo"],
    ["2001:2::1", "benchmarking"],
    ["2001:10::1", "ORCHID"],
    ["2001:20::1", "ORCHIDv2"],
    ["2001:100::1", "IETF protocol assignments"],
    ["2001:db8::1", "documentation"],
    ["2002:808:808::1", "6to4"],
    ["3fff:fff::1", "documentation"],
    ["4000::1", "reserved by the IETF"],
    ["5f00::1", "SRv6"],
    ["fc00::1", "unique local"],
    ["fd00:ec2::254", "cloud metadata"],
    ["fe00::1", "reserved by the IETF"],
    ["fe80::1", "link-local"],
    ["fec0::1", "site-local"],
    ["ff02::1", "multicast"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:169.254.169.254", "cloud metadata"],
    ["::10.0.0.1", "private use"],
    ["::2", "this network"],
    ["64:ff9b::192.168.0.1", "private use"],
    ["64:ff9b::127.0.0.1", "loopback"],
  ])("%s is closed (%s)", (address, rule) => {
    const decision = decide(address);
    expect(decision.permitted).toBe(false);
    expect(decision.rule).toContain(rule);
  });

  test.each([
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700::1111",
    "3ffe:ffff::1",
    "::ffff:8.8.8.8",
    "::8.8.8.8",
    "64:ff9b::8.8.8.8",
  ])("%s is open", (address) => {
    expect(decide(address)).toEqual({ permitted: true, rule: "no rule speaks against it" });
  });

  test("the first and the last address of every special range is closed", () => {
    for (const { prefix } of SPECIAL_RANGES) {
      const [text = "", length = ""] = prefix.split("/");
      const last = ip(text).map((byte, index) => {
        const kept = Math.min(8, Math.max(0, Number(length) - index * 8));
        return byte | (0xff >> kept);
      });
      expect([prefix, decide(text).permitted]).toEqual([prefix, false]);
      expect([prefix, decide(formatIp(last)).permitted]).toEqual([prefix, false]);
    }
  });
});

describe("the operator's rules", () => {
  test("open exactly a special range, since they outrank the table at equal length", () => {
    const decide = policyOf({ allow: ["10.0.0.0/8", "fc00::/7"] });
    expect(decide("10.1.2.3")).toEqual({ permitted: true, rule: "--allow 10.0.0.0/8" });
    expect(decide("fd12::1").permitted).toBe(true);
    expect(decide("192.168.0.1").permitted).toBe(false);
  });

  test("leave a special range closed when they are wider than it", () => {
    const decide = policyOf({ allow: ["0.0.0.0/0", "169.254.0.0/16"] });
    expect(decide("10.0.0.1").permitted).toBe(false);
    expect(decide("169.254.1.1").permitted).toBe(true);
    expect(decide("169.254.169.254").permitted).toBe(false);
  });

  test("deny at equal length, whatever their order", () => {
    expect(policyOf({ allow: ["10.0.0.0/8"], deny: ["10.0.0.0/8"] })("10.0.0.1")).toEqual({
      permitted: false,
      rule: "--deny 10.0.0.0/8",
    });
  });

  test("let the longest prefix decide", () => {
    const decide = policyOf({ allow: ["10.1.0.0/16", "10.1.2.3"], deny: ["10.1.2.0/24"] });
    expect(decide("10.1.3.1").permitted).toBe(true);
    expect(decide("10.1.2.1").permitted).toBe(false);
    expect(decide("10.1.2.3").permitted).toBe(true);
  });

  test("make a whitelist out of denying everything", () => {
    const decide = policyOf({ deny: ["0.0.0.0/0", "::/0"], allow: ["8.8.8.8", "2606:4700::/32"] });
    expect(decide("8.8.8.8").permitted).toBe(true);
    expect(decide("::ffff:8.8.8.8").permitted).toBe(true);
    expect(decide("8.8.4.4")).toEqual({ permitted: false, rule: "--deny 0.0.0.0/0" });
    expect(decide("2606:4700::1").permitted).toBe(true);
    expect(decide("2001:4860::1")).toEqual({ permitted: false, rule: "--deny ::/0" });
  });

  test("cover only the ports they name, and leave others to the next shorter rule", () => {
    const decide = policyOf({
      allow: ["10.0.0.0/8:80,8000-8100", "[::1]:443", "[fd00::]/8:22"],
      deny: ["0.0.0.0/0:25", "[::]/0:25"],
    });
    const open = [80, 8000, 8100].filter((port) => !decide("10.0.0.1", port).permitted);
    const closed = [1, 79, 81, 443, 7999, 8101, 65_535].filter((port) => decide("10.0.0.1", port).permitted);
    expect({ open, closed }).toEqual({ open: [], closed: [] });
    expect(decide("10.0.0.1", 443).rule).toBe("10.0.0.0/8 (private use, RFC 1918)");
    expect([decide("::1", 443).permitted, decide("::1", 80).permitted]).toEqual([true, false]);
    expect([decide("fd00::1", 22).permitted, decide("fd00::1", 23).permitted]).toEqual([true, false]);
    expect([decide("8.8.8.8", 25).permitted, decide("8.8.8.8", 26).permitted]).toEqual([false, true]);
    expect([decide("2606::1", 25).permitted, decide("2606::1", 26).permitted]).toEqual([false, true]);
  });
});

describe("an address of this machine", () => {
  const own = machine("8.8.4.4/32", "8.8.4.0/24", "10.0.0.5/32", "2606:4700::5/128");

  test("is closed though it is public, and so is a network on its loopback interface", () => {
    const decide = policyOf({}, own);
    expect(decide("8.8.4.4")).toEqual({ permitted: false, rule: "8.8.4.4/32 (this machine)" });
    expect(decide("8.8.4.9")).toEqual({ permitted: false, rule: "8.8.4.0/24 (this machine)" });
    expect(decide("2606:4700::5").rule).toBe("2606:4700::5/128 (this machine)");
    expect(decide("::ffff:8.8.4.4").permitted).toBe(false);
    expect(decide("64:ff9b::8.8.4.4").permitted).toBe(false);
    expect([decide("8.8.5.4").permitted, decide("2606:4700::6").permitted]).toEqual([true, true]);
  });

  test("is opened by whatever allows it, on the ports that are named", () => {
    const wide = policyOf({ allow: ["8.8.0.0/16", "10.0.0.0/8", "2606:4700::/32"] }, own);
    for (const address of ["8.8.4.4", "10.0.0.5", "2606:4700::5"])
      expect([address, wide(address).permitted]).toEqual([address, true]);
    const exact = policyOf({ allow: ["8.8.4.4:443", "[2606:4700::5]:443"] }, own);
    expect(exact("8.8.4.4", 443)).toEqual({ permitted: true, rule: "--allow 8.8.4.4:443" });
    expect([exact("2606:4700::5", 443).permitted, exact("2606:4700::5", 80).permitted]).toEqual([
      true,
      false,
    ]);
    expect(exact("8.8.4.4", 22).rule).toBe("8.8.4.4/32 (this machine)");
    expect(policyOf({ allow: ["8.8.4.0/24"] }, own)("8.8.4.9").permitted).toBe(true);
  });

  test("is asked for again after some seconds, and remembered where the system cannot say", () => {
    let now = 0;
    let addresses: { address: Uint8Array; length: number }[] | undefined = [];
    const changing = new OwnAddresses(
      () => addresses,
      () => now,
    );
    const isClosed = () => !policyOf({}, changing)("8.8.4.4").permitted;
    expect(isClosed()).toBe(false);
    addresses = [{ address: ip("8.8.4.4"), length: 32 }];
    expect(isClosed()).toBe(false);
    now += 3_000;
    expect(isClosed()).toBe(true);
    addresses = undefined;
    now += 60_000;
    expect(isClosed()).toBe(true);
  });
});

describe("a machine that has never said which addresses it has", () => {
  const silent = new OwnAddresses(() => undefined);

  test("may have any: what is not allowed is refused", () => {
    const decide = policyOf({ allow: ["8.8.0.0/16", "10.0.0.5", "127.0.0.0/8", "::1/128"] }, silent);
    expect(decide("1.1.1.1")).toEqual({ permitted: false, rule: "1.1.1.1/32 (perhaps this machine)" });
    for (const address of ["8.9.4.4", "10.0.0.6", "2606:4700::5", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"])
      expect([address, decide(address).permitted]).toEqual([address, false]);
    for (const address of ["8.8.4.4", "10.0.0.5", "127.0.0.1", "::1"])
      expect([address, decide(address).permitted]).toEqual([address, true]);
  });

  test("is asked at once, and with every decision until it says", () => {
    let addresses: { address: Uint8Array; length: number }[] | undefined;
    let asked = 0;
    const late = new OwnAddresses(() => {
      asked += 1;
      return addresses;
    });
    expect([asked, late.known]).toEqual([1, false]);
    const decide = policyOf({}, late);
    expect(decide("1.1.1.1").permitted).toBe(false);
    addresses = [{ address: ip("8.8.4.4"), length: 32 }];
    expect([decide("1.1.1.1").permitted, decide("8.8.4.4").permitted, late.known]).toEqual([
      true,
      false,
      true,
    ]);
  });
});

describe("a rule that cannot be read", () => {
  test.each([
    "",
    "example.com",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.1/8",
    "10.1/16",
    "010.0.0.0/8",
    "10.0.0.0/8:",
    "10.0.0.0/8:0",
    "10.0.0.0/8:65536",
    "10.0.0.0/8:80-",
    "10.0.0.0/8:-80",
    "10.0.0.0/8:90-80",
    "10.0.0.0/8:80-90-100",
    "10.0.0.0/8:80,",
    "10.0.0.0/8:http",
    "10.0.0.0/8 ",
    "fd00::/129",
    "fd00::1/8",
    "fd00::/8:443",
    "[fd00::/8]:443",
    "[fd00::]8",
    "[10.0.0.0]/8",
    "fe80::1%eth0",
    "::ffff:10.0.0.0/104",
    "64:ff9b::/96",
    "::10.0.0.1",
  ])("%j is a usage error", (text) => {
    expect(() => policyOf({ allow: [text] })).toThrow(UsageError);
    expect(() => policyOf({ deny: [text] })).toThrow("--deny");
  });

  test("says which range was meant", () => {
    const hintOf = (text: string): string => {
      try {
        policyOf({ allow: [text] });
      } catch (error) {
        if (error instanceof UsageError) return error.hint;
      }
      return "";
    };
    expect(hintOf("10.1.2.3/8")).toContain("10.0.0.0/8");
    expect(hintOf("64:ff9b::10.0.0.0/104")).toContain("10.0.0.0/8");
  });
});

test("a decision takes a few microseconds, IPv6 included", () => {
  const policy = new DestinationPolicy({ allow: [], deny: [] });
  const addresses = ["8.8.8.8", "2606:4700:4700::1111", "10.0.0.1", "2001:db8::1", "64:ff9b::8.8.8.8"].map(
    ip,
  );
  const rounds = 20_000;
  const start = performance.now();
  for (let round = 0; round < rounds; round++) for (const address of addresses) policy.decide(address, 443);
  const microseconds = ((performance.now() - start) * 1000) / (rounds * addresses.length);
  expect(microseconds).toBeLessThan(20);
});
