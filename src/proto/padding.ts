import { LIMITS } from "./limits.ts";
import type { Random } from "./random.ts";

/** Random padding of a handshake message, less than this: a power of two, so that every length is as likely. */
const HANDSHAKE_PADDING_BYTES = 1_024;

/** `padme` rounds small packets up to few lengths; `none` sends them as they are. */
export type PaddingPolicy = "padme" | "none";

/**
 * PADMÉ (Nikitin et al. 2019, section 4): the length rounded up so that its binary form, as a floating-point number,
 * has a mantissa no longer than its exponent. At most 12 % more, and O(log log n) bits of length leak.
 */
export function padme(length: number): number {
  if (length < 2) return length;
  const exponent = Math.floor(Math.log2(length));
  const mantissaBits = Math.floor(Math.log2(exponent)) + 1;
  const mask = 2 ** Math.max(exponent - mantissaBits, 0) - 1;
  return length + mask - ((length + mask) % (mask + 1));
}

/** Bytes of padding for a lead of `leadLength` bytes without body. 0 means that no Padding frame is needed. */
export function paddingFor(leadLength: number, policy: PaddingPolicy): number {
  if (policy === "none" || leadLength >= LIMITS.paddedBelowBytes) return 0;
  return Math.max(LIMITS.minPaddedBytes, padme(leadLength)) - leadLength;
}

/**
 * Bytes of padding, 0 to 1,023 at random, that the first packet of each side gets besides: Hello, Accept and Refuse
 * come at a known moment, and their lengths would tell how many streams are resumed, or whether a client was let in.
 */
export function handshakePadding(random: Random): number {
  const [high = 0, low = 0] = random(2);
  return (high * 256 + low) % HANDSHAKE_PADDING_BYTES;
}
