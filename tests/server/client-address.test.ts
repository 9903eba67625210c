import { describe, expect, test } from "bun:test";
import { UsageError } from "../../src/runtime/errors.ts";
import { TrustedProxies } from "../../src/server/client-address.ts";

describe("the address that a request is counted under", () => {
  const trusted = new TrustedProxies(["198.51.100.0/24", "2001:db8:1::/48"]);
  test.each([
    ["a stranger's own address", "192.0.2.1", null, "192.0.2.1"],
    ["whatever the stranger claims", "192.0.2.1", "203.0.113.9", "192.0.2.1"],
    ["behind the proxy on this machine", "127.0.0.1", "192.0.2.7", "192.0.2.7"],
    ["behind it over IPv6", "::1", "192.0.2.7", "192.0.2.7"],
    ["as Bun names IPv4 on a socket of both families", "::ffff:127.0.0.1", "192.0.2.7", "192.0.2.7"],
    ["behind two trusted proxies", "127.0.0.1", "192.0.2.7, 198.51.100.3", "192.0.2.7"],
    ["left of the first stranger nothing counts", "127.0.0.1", "203.0.113.9, 192.0.2.7", "192.0.2.7"],
    ["a forged chain of trusted names", "127.0.0.1", "198.51.100.1, 192.0.2.7, 198.51.100.3", "192.0.2.7"],
    ["a trusted proxy that names nobody", "198.51.100.3", null, "198.51.100.3"],
    ["nothing but proxies", "127.0.0.1", "198.51.100.4, 198.51.100.3", "198.51.100.4"],
    ["garbage", "127.0.0.1", "192.0.2.7, <script>", "127.0.0.1"],
    ["garbage before a trusted proxy", "127.0.0.1", "x, 198.51.100.3", "198.51.100.3"],
    ["an empty list", "127.0.0.1", "", "127.0.0.1"],
    ["IPv6 by its first 64 bits", "127.0.0.1", "2001:db8:2:3:4:5:6:7", "2001:db8:2:3::"],
    ["IPv6 in brackets", "127.0.0.1", "[2001:db8:2:3::9]", "2001:db8:2:3::"],
    ["IPv4 inside IPv6", "127.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"],
    ["a trusted proxy over IPv6", "2001:db8:1::1", "192.0.2.7", "192.0.2.7"],
    ["a peer without an address", "", "192.0.2.7", ""],
  ])("%s", (_, peer, forwardedFor, expected) => {
    expect(trusted.clientOf(peer, forwardedFor)).toBe(expected);
  });

  test("a very long list is read from its right end only", () => {
    const list = `${"127.0.0.1,".repeat(100_000)}192.0.2.7,${"127.0.0.1,".repeat(14)}127.0.0.1`;
    expect(trusted.clientOf("127.0.0.1", list)).toBe("192.0.2.7");
    expect(trusted.clientOf("127.0.0.1", `192.0.2.7,${"127.0.0.1,".repeat(16)}127.0.0.1`)).toBe("127.0.0.1");
  });

  test.each(["", "proxy.example", "192.0.2.1/8", "192.0.2.0/24:80"])(
    "--trusted-proxy %p is refused",
    (text) => {
      expect(() => new TrustedProxies([text])).toThrow(UsageError);
    },
  );
});
