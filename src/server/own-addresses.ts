import { parseIp } from "../runtime/address.ts";
import { withReserve } from "../runtime/descriptors.ts";
import { interfaceAddresses } from "../runtime/machine.ts";
import { openLinuxInterfaces } from "./interfaces-linux.ts";
import { maskAddress } from "./policy-rule.ts";

/** Addresses at which this machine itself answers: those whose first `length` bits are those of `address`. */
export interface OwnRange {
  readonly address: Uint8Array;
  readonly length: number;
}

/** Asks the system; undefined where it cannot say. */
export type ReadOwnRanges = () => readonly OwnRange[] | undefined;

/** An address that has just been added is closed after this. One look costs some tenths of a millisecond. */
const READ_AGAIN_MS = 3_000;

/**
 * The addresses of this machine, as of a few seconds ago. Where the system cannot say, what it said last; and if it never
 * has, any address may be one. It is asked at once, and with descriptors of the reserve: strangers may have all others.
 */
export class OwnAddresses {
  readonly #read: ReadOwnRanges;
  readonly #now: () => number;
  #ranges: readonly OwnRange[] | undefined;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(read: ReadOwnRanges = openSystem(), now: () => number = () => performance.now()) {
    this.#read = read;
    this.#now = now;
    this.#refresh();
  }

  /** Whether the system has ever said. */
  get known(): boolean {
    return this.#ranges !== undefined;
  }

  /** The narrowest range that `address`, of 4 or 16 bytes, is in. */
  rangeOf(address: Uint8Array): OwnRange | undefined {
    this.#refresh();
    if (this.#ranges === undefined)
      return isLoopback(address) ? undefined : { address, length: address.length * 8 };
    let narrowest: OwnRange | undefined;
    for (const range of this.#ranges)
      if (range.length > (narrowest?.length ?? -1) && isIn(address, range)) narrowest = range;
    return narrowest;
  }

  #refresh(): void {
    const now = this.#now();
    if (now - this.#readAt < READ_AGAIN_MS) return;
    const ranges = withReserve("own", this.#read);
    if (ranges === undefined) return;
    this.#ranges = ranges;
    this.#readAt = now;
  }
}

function isIn(address: Uint8Array, { address: first, length }: OwnRange): boolean {
  if (address.length !== first.length) return false;
  const masked = maskAddress(address, length);
  return masked.every((byte, index) => byte === first[index]);
}

function openSystem(): ReadOwnRanges {
  const linux = openLinuxInterfaces() ?? (() => []);
  return () => {
    const listed = interfaceAddresses();
    const others = linux();
    if (listed === undefined || others === undefined) return undefined;
    const ranges = [
      ...others.map((address) => ({ address, length: address.length * 8 })),
      ...listed.flatMap(({ address, cidr, internal }) => rangesOf(address, internal ? cidr : null)),
    ];
    return ranges.filter(({ address }) => !isLoopback(address));
  };
}

/** The address itself; of IPv4 on the loopback interface its whole network too, for the kernel takes all of that. */
function rangesOf(text: string, loopbackCidr: string | null): OwnRange[] {
  const address = parseIp(text.split("%", 1)[0] ?? "");
  if (address === undefined) return [];
  const itself = { address, length: address.length * 8 };
  if (loopbackCidr === null || address.length !== 4) return [itself];
  const length = Number(loopbackCidr.split("/")[1]);
  return [itself, { address: maskAddress(address, length), length }];
}

/** 127.0.0.0/8 and ::1 are this machine wherever they are, and so a special range: `--allow` of it means them. */
function isLoopback(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127;
  return address.every((byte, index) => byte === (index === 15 ? 1 : 0));
}
