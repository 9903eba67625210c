import { UsageError } from "./errors.ts";

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const IPV6_GROUPS = 8;
/** The longest text of an address: six groups of four digits and an embedded IPv4 address. */
const MAX_TEXT_LENGTH = 45;

/**
 * The 4 or 16 bytes of an IP address, or undefined if `text` is not one.
 *
 * IPv4 is strictly four decimal numbers without leading zeros: the other forms of inet_aton (`127.1`, `0x7f.1`,
 * `0177.0.0.1`) mean different hosts to different programs, and so slip past checks. IPv6 is as in RFC 4291 section
 * 2.2, embedded IPv4 included; zone ids (`fe80::1%eth0`) mean something on one machine only and are refused.
 */
export function parseIp(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length > MAX_TEXT_LENGTH) return undefined;
  const bytes = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  return bytes === undefined ? undefined : Uint8Array.from(bytes);
}

function parseIpv4(text: string): number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== IPV4_BYTES) return undefined;
  if (!parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part))) return undefined;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

function parseIpv6(text: string): number[] | undefined {
  const [left = "", right, ...more] = text.split("::");
  if (more.length > 0) return undefined;
  if (right === undefined) {
    const whole = parseGroups(left, true);
    return whole?.length === IPV6_BYTES ? whole : undefined;
  }
  const head = left === "" ? [] : parseGroups(left, false);
  const tail = right === "" ? [] : parseGroups(right, true);
  if (head === undefined || tail === undefined) return undefined;
  const zeros = IPV6_BYTES - head.length - tail.length;
  // "::" stands for at least one group (RFC 4291 section 2.2, form 2).
  if (zeros < 2) return undefined;
  return [...head, ...new Array<number>(zeros).fill(0), ...tail];
}

/** The bytes of groups between colons; IPv4 may stand only where the last group of the whole address stands. */
function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const ipv4 = mayEndInIpv4 && index === groups.length - 1 ? parseIpv4(group) : undefined;
    if (ipv4 === undefined) return undefined;
    bytes.push(...ipv4);
  }
  return bytes;
}

/** The one text of an address of 4 or 16 bytes, IPv6 as in RFC 5952. Throws RangeError on any other length. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === IPV4_BYTES) return bytes.join(".");
  if (bytes.length !== IPV6_BYTES) throw new RangeError(`an address has 4 or 16 bytes, got ${bytes.length}`);
  // RFC 5952 section 5: mixed notation where the prefix alone says that an IPv4 address is inside.
  const inside = mappedIpv4(bytes);
  if (inside !== undefined) return `::ffff:${inside.join(".")}`;
  const groups: string[] = [];
  for (let index = 0; index < IPV6_BYTES; index += 2) {
    groups.push((((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16));
  }
  const { start, length } = longestZeroRun(groups);
  // RFC 5952 section 4.2.2: a single group of zeros is never shortened.
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

/** The first of the longest runs of zero groups (RFC 5952 section 4.2.3). */
function longestZeroRun(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let index = 0; index < IPV6_GROUPS; index++) {
    if (groups[index] !== "0") start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

/** The IPv4 address inside an IPv4-mapped IPv6 address (::ffff:0:0/96, RFC 4291 section 2.5.5.2), or undefined. */
export function mappedIpv4(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length !== IPV6_BYTES || bytes[10] !== 0xff || bytes[11] !== 0xff) return undefined;
  return isZero(bytes, 10) ? bytes.subarray(12) : undefined;
}

/** Whether packets to this address stay on this machine: 127.0.0.0/8, ::1, and the former mapped into IPv6. */
export function isLoopback(bytes: Uint8Array): boolean {
  if (bytes.length === IPV4_BYTES) return bytes[0] === 127;
  if (bytes.length !== IPV6_BYTES) return false;
  return (isZero(bytes, 15) && bytes[15] === 1) || mappedIpv4(bytes)?.[0] === 127;
}

function isZero(bytes: Uint8Array, length: number): boolean {
  for (let index = 0; index < length; index++) if (bytes[index] !== 0) return false;
  return true;
}

/** Where to listen: an address, also as the text that Bun wants (no brackets), and a port, 0 for any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly address: Uint8Array;
  readonly port: number;
}

/**
 * `[HOST:]PORT` of a command line flag: `1080`, `0.0.0.0:1080`, `[::1]:1080`, `localhost:1080`. Other names are
 * refused: a name may come to mean another address, and whether the listener is reachable from outside must be plain
 * to read. Throws UsageError naming `flag`.
 */
export function parseListenAddress(text: string, flag: string, defaultHost = "127.0.0.1"): ListenAddress {
  const match = /^(?:(?:\[([^[\]]*)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new UsageError(
      `${flag}: "${text}" is not [HOST:]PORT`,
      "write a port from 0 to 65535, or an address and a port: 1080, 127.0.0.1:1080, [::1]:1080",
    );
  }
  const [, bracketed, plain] = match;
  const address = parseIp(toAddressText(bracketed ?? plain ?? defaultHost));
  const bracketsFit = bracketed === undefined || address?.length === IPV6_BYTES;
  if (address === undefined || !bracketsFit) {
    throw new UsageError(
      `${flag}: the host of "${text}" is not an address of this machine`,
      "write an IP address, IPv6 in brackets, or localhost: 127.0.0.1:1080, [::1]:1080, 0.0.0.0:1080",
    );
  }
  return { host: formatIp(address), address, port };
}

function toAddressText(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}
