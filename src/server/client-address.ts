import { formatIp, isLoopback, mappedIpv4, parseIp } from "../runtime/address.ts";
import { UsageError } from "../runtime/errors.ts";
import { maskAddress, type PolicyRule, parsePolicyRule } from "./policy-rule.ts";
import { SERVER_LIMITS } from "./server-limits.ts";

/** What an IPv6 subscriber gets at least (RFC 6177): whoever has one address of it has them all. */
const IPV6_SUBSCRIBER_BITS = 64;

/** Proxies whose word on whom they speak for is believed: loopback, and the ranges of `--trusted-proxy`. */
export class TrustedProxies {
  readonly #ranges: readonly PolicyRule[];

  /** @throws UsageError for a text that is no CIDR */
  constructor(texts: readonly string[]) {
    this.#ranges = texts.map(parseRange);
  }

  /**
   * Who a request comes from, as the text by which it is counted: an IPv4 address, or the first 64 bits of an IPv6
   * address. `peer` is the other end of the TCP connection. X-Forwarded-For is read from the right: each trusted proxy
   * has appended whom it heard from, and what stands left of the first stranger is whatever that stranger wrote.
   */
  clientOf(peer: string, forwardedFor: string | null): string {
    let client = parseAddress(peer);
    if (client === undefined) return peer;
    const hops = forwardedFor?.split(",").slice(-SERVER_LIMITS.forwardedHops) ?? [];
    while (this.#trusts(client)) {
      const before = parseAddress(hops.pop()?.trim() ?? "");
      if (before === undefined) break;
      client = before;
    }
    return formatIp(client.length === 4 ? client : maskAddress(client, IPV6_SUBSCRIBER_BITS));
  }

  #trusts(address: Uint8Array): boolean {
    if (isLoopback(address)) return true;
    return this.#ranges.some((range) => {
      if (range.address.length !== address.length) return false;
      const masked = maskAddress(address, range.length);
      return masked.every((byte, index) => byte === range.address[index]);
    });
  }
}

function parseRange(text: string): PolicyRule {
  const range = parsePolicyRule(text, "--trusted-proxy");
  if (range.ports === undefined) return range;
  throw new UsageError(
    `--trusted-proxy: "${text}" has ports`,
    "write the CIDR alone: 192.0.2.0/24, 2001:db8::/32",
  );
}

function parseAddress(text: string): Uint8Array | undefined {
  const address = parseIp(text.replace(/^\[(.*)\]$/, "$1"));
  return address === undefined ? undefined : (mappedIpv4(address) ?? address);
}
