import { formatIp, parseIp } from "../runtime/address.ts";
import { UsageError } from "../runtime/errors.ts";

/** Ports from `low` to `high`, both included. */
export interface PortRange {
  readonly low: number;
  readonly high: number;
}

/** `CIDR[:ports]`: the addresses whose first `length` bits are those of `address`. No ports means every port. */
export interface PolicyRule {
  readonly address: Uint8Array;
  readonly length: number;
  readonly ports: readonly PortRange[] | undefined;
}

const HINT =
  "write CIDR[:ports]: 10.0.0.0/8, 192.168.1.7:22, 10.0.0.0/8:80,8000-8100, fd00::/8, [fd00::]/8:443";
const MAX_PORT = 65_535;

const IPV4_RULE = /^(?<address>[^:/[\]]+)(?:\/(?<length>[^:]*))?(?::(?<ports>.*))?$/;
const IPV6_RULE = /^(?<address>[^/[\]]+)(?:\/(?<length>[^:]*))?$/;
const BRACKETED_RULE = /^\[(?=[^/[\]]*:)(?<address>[^/[\]]+)\](?:\/(?<length>[^:]*))?(?::(?<ports>.*))?$/;

/**
 * Reads the text of `--allow` and `--deny`. An address without a length is that one address. IPv6 with ports needs
 * brackets around the address (as in RFC 3986), or nobody could tell port from group. Throws UsageError naming `flag`.
 */
export function parsePolicyRule(text: string, flag: string): PolicyRule {
  const { address: addressText = "", length: lengthText, ports } = ruleForm(text).exec(text)?.groups ?? {};
  const address = parseIp(addressText);
  if (address === undefined) throw new UsageError(`${flag}: "${text}" is not CIDR[:ports]`, HINT);
  const bits = address.length * 8;
  const length = lengthText === undefined ? bits : parseDecimal(lengthText, bits);
  if (length === undefined) {
    throw new UsageError(`${flag}: the prefix length of "${text}" is not from 0 to ${bits}`, HINT);
  }
  refuseHostBits(address, length, text, flag);
  refuseEmbeddedForms(address, length, text, flag);
  return { address, length, ports: ports === undefined ? undefined : parsePorts(ports, text, flag) };
}

function ruleForm(text: string): RegExp {
  if (text.startsWith("[")) return BRACKETED_RULE;
  return text.indexOf(":") === text.lastIndexOf(":") ? IPV4_RULE : IPV6_RULE;
}

function parsePorts(list: string, text: string, flag: string): PortRange[] {
  return list.split(",").map((item) => {
    const [from = "", to = from, ...more] = item.split("-");
    const low = parseDecimal(from, MAX_PORT);
    const high = parseDecimal(to, MAX_PORT);
    if (low === undefined || high === undefined || low < 1 || low > high || more.length > 0) {
      throw new UsageError(`${flag}: the ports of "${text}" are not 443, 80,443 or 8000-8100`, HINT);
    }
    return { low, high };
  });
}

function parseDecimal(text: string, max: number): number | undefined {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** `10.1.2.3/8` is a slip of the pen: was /32 meant, or 10.0.0.0/8? In an access rule nobody should have to guess. */
function refuseHostBits(address: Uint8Array, length: number, text: string, flag: string): void {
  const masked = maskAddress(address, length);
  if (masked.every((byte, index) => byte === address[index])) return;
  throw new UsageError(
    `${flag}: "${text}" has address bits beyond its prefix length`,
    `write ${formatIp(masked)}/${length} for the whole range, or the address without a length for one host`,
  );
}

/** The address with every bit after the first `length` cleared. */
export function maskAddress(address: Uint8Array, length: number): Uint8Array {
  return address.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, length - index * 8));
    return byte & ~(0xff >> kept);
  });
}

/** A rule for addresses that are judged as the IPv4 address inside would never match: say so instead. */
function refuseEmbeddedForms(address: Uint8Array, length: number, text: string, flag: string): void {
  if (length < 96) return;
  const inside = embeddedIpv4(address);
  if (inside === undefined) return;
  throw new UsageError(
    `${flag}: "${text}" never applies, because such addresses are judged as the IPv4 address inside`,
    `write the rule for IPv4: ${formatIp(inside)}/${length - 96}`,
  );
}

/**
 * The IPv4 address that a connection to this IPv6 address ends at, or undefined: IPv4-mapped (::ffff:0:0/96, RFC 4291
 * section 2.5.5.2), IPv4-compatible (::/96, section 2.5.5.1, but for :: and ::1) and NAT64 (64:ff9b::/96, RFC 6052).
 */
export function embeddedIpv4(address: Uint8Array): Uint8Array | undefined {
  if (address.length !== 16) return undefined;
  for (let index = 4; index < 10; index++) if (address[index] !== 0) return undefined;
  const head = readUint32(address, 0);
  const middle = ((address[10] ?? 0) << 8) | (address[11] ?? 0);
  const isMapped = head === 0 && middle === 0xffff;
  const isCompatible = head === 0 && middle === 0 && readUint32(address, 12) > 1;
  const isNat64 = head === 0x0064ff9b && middle === 0;
  return isMapped || isCompatible || isNat64 ? address.subarray(12) : undefined;
}

function readUint32(bytes: Uint8Array, offset: number): number {
  let value = 0;
  for (let index = offset; index < offset + 4; index++) value = value * 256 + (bytes[index] ?? 0);
  return value;
}
