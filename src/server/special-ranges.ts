/** A range that is no ordinary host on the internet, and so is closed to clients until the operator opens it. */
export interface SpecialRange {
  readonly prefix: string;
  readonly name: string;
  /** Where it is defined: an RFC, or who uses the address. */
  readonly source: string;
}

/**
 * Every range of the IANA special-purpose registries (RFC 6890), whether "globally reachable" there or not: none of
 * them is a site a user wants to visit, and many lead into the server's own network. A range inside another keeps its
 * own row: opening the outer one with `--allow` leaves the inner one closed, because the longest prefix decides.
 *
 * Three ranges are missing on purpose, since an address in them is judged as the IPv4 address inside (see policy.ts):
 * ::ffff:0:0/96 (IPv4-mapped), ::/96 (IPv4-compatible) and 64:ff9b::/96 (NAT64, which names resolve to on networks
 * without IPv4: closing it would close the internet there).
 *
 * 6to4 is closed instead: the IPv4 address inside names the router, not the host behind it, so judging it would
 * say nothing about where the packets end; and nobody runs 6to4 relays any more (RFC 7526).
 */
export const SPECIAL_RANGES: readonly SpecialRange[] = [
  ...ranges(
    ["0.0.0.0/8", "this network", "RFC 791"],
    ["0.0.0.0/32", "this host: Linux connects it to loopback", "RFC 1122"],
    ["10.0.0.0/8", "private use", "RFC 1918"],
    ["100.64.0.0/10", "shared address space (carrier-grade NAT)", "RFC 6598"],
    ["127.0.0.0/8", "loopback", "RFC 1122"],
    ["169.254.0.0/16", "link-local", "RFC 3927"],
    ["172.16.0.0/12", "private use", "RFC 1918"],
    ["192.0.0.0/24", "IETF protocol assignments", "RFC 6890"],
    ["192.0.0.0/29", "IPv4 service continuity", "RFC 7335"],
    ["192.0.0.8/32", "IPv4 dummy address", "RFC 7600"],
    ["192.0.0.9/32", "Port Control Protocol anycast", "RFC 7723"],
    ["192.0.0.10/32", "TURN anycast", "RFC 8155"],
    ["192.0.0.170/31", "NAT64 discovery", "RFC 8880"],
    ["192.0.2.0/24", "documentation", "RFC 5737"],
    ["192.31.196.0/24", "AS112", "RFC 7535"],
    ["192.52.193.0/24", "multicast tunnelling (AMT)", "RFC 7450"],
    ["192.88.99.0/24", "6to4 relay anycast", "RFC 7526"],
    ["192.88.99.2/32", "6a44 relay anycast", "RFC 6751"],
    ["192.168.0.0/16", "private use", "RFC 1918"],
    ["192.175.48.0/24", "AS112", "RFC 7534"],
    ["198.18.0.0/15", "benchmarking", "RFC 2544"],
    ["198.51.100.0/24", "documentation", "RFC 5737"],
    ["203.0.113.0/24", "documentation", "RFC 5737"],
    ["224.0.0.0/4", "multicast", "RFC 5771"],
    ["240.0.0.0/4", "reserved", "RFC 1112"],
    ["255.255.255.255/32", "limited broadcast", "RFC 919"],
  ),
  ...ranges(
    ["::/128", "unspecified: Linux connects it to loopback", "RFC 4291"],
    ["::1/128", "loopback", "RFC 4291"],
    [
      "64:ff9b:1::/48",
      "NAT64 for local use: where the IPv4 address stands in it is a local matter",
      "RFC 8215",
    ],
    ["100::/64", "discard-only", "RFC 6666"],
    ["100:0:0:1::/64", "dummy prefix", "RFC 9780"],
    ["2001::/23", "IETF protocol assignments", "RFC 2928"],
    ["2001::/32", "Teredo", "RFC 4380"],
    ["2001:1::1/128", "Port Control Protocol anycast", "RFC 7723"],
    ["2001:1::2/128", "TURN anycast", "RFC 8155"],
    ["2001:1::3/128", "DNS-SD registration anycast", "RFC 9665"],
    ["2001:2::/48", "benchmarking", "RFC 5180"],
    ["2001:3::/32", "multicast tunnelling (AMT)", "RFC 7450"],
    ["2001:4:112::/48", "AS112", "RFC 7535"],
    ["2001:10::/28", "ORCHID", "RFC 4843"],
    ["2001:20::/28", "ORCHIDv2", "RFC 7343"],
    ["2001:30::/28", "drone remote identification", "RFC 9374"],
    ["2001:db8::/32", "documentation", "RFC 3849"],
    ["2002::/16", "6to4", "RFC 3056"],
    ["2620:4f:8000::/48", "AS112", "RFC 7534"],
    ["3fff::/20", "documentation", "RFC 9637"],
    ["5f00::/16", "SRv6 segment identifiers", "RFC 9602"],
    ["fc00::/7", "unique local", "RFC 4193"],
    ["fe80::/10", "link-local", "RFC 4291"],
    ["fec0::/10", "site-local", "RFC 3879"],
    ["ff00::/8", "multicast", "RFC 4291"],
  ),
  ...unassigned(),
  ...cloudMetadata(),
];

/**
 * What IANA keeps outside 2000::/3, the only global unicast space there is (RFC 4291 section 2.4). Overlay networks
 * squat there (Yggdrasil: 200::/7). Listed range by range, not as ::/0, which no `--deny ::/0` could then outrank.
 */
function unassigned(): SpecialRange[] {
  const prefixes = ["::/8", "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4", "4000::/3", "6000::/3"];
  prefixes.push("8000::/3", "a000::/3", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/9");
  return prefixes.map((prefix) => ({ prefix, name: "reserved by the IETF", source: "RFC 4291" }));
}

/**
 * Addresses at which a cloud hands its machine's credentials to whoever asks. As ranges of their own they stay closed
 * when the operator opens the private or link-local range around them, and Azure's looks like any public address.
 */
function cloudMetadata(): SpecialRange[] {
  const name = "cloud metadata";
  return ranges(
    ["169.254.169.254/32", name, "AWS, Azure, Google and most others"],
    ["169.254.170.2/32", name, "AWS ECS"],
    ["169.254.170.23/32", name, "AWS EKS"],
    ["100.100.100.200/32", name, "Alibaba"],
    ["168.63.129.16/32", name, "Azure"],
    ["192.0.0.192/32", name, "Oracle"],
    ["fd00:ec2::254/128", name, "AWS"],
    ["fd00:ec2::23/128", name, "AWS EKS"],
    ["fd20:ce::254/128", name, "Google"],
  );
}

function ranges(...rows: (readonly [prefix: string, name: string, source: string])[]): SpecialRange[] {
  return rows.map(([prefix, name, source]) => ({ prefix, name, source }));
}
