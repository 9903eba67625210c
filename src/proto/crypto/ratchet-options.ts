import { assert } from "../assert.ts";
import type { ChainLimits } from "./receiving-chain.ts";
import type { StepLimits } from "./step-policy.ts";

/** How a ratchet behaves; `LINK_RATCHET` has the values of docs/PROTOCOL.md. */
export interface RatchetOptions extends StepLimits, ChainLimits {
  /**
   * 0 for carriers that neither lose nor reorder: any gap is an error. Above 0 as in Signal: that many packets may be
   * missing, and every packet says its chain, because the first of the chain may be the one that is missing.
   */
  readonly maxSkip: number;
  /** Keys of missing packets kept at once, over all chains. */
  readonly maxSkippedKeys: number;
}

const MiB = 1024 * 1024;

/** What a link uses. The peer has three times our step's time, and four times its bytes, for what is under way. */
export const LINK_RATCHET: RatchetOptions = {
  stepAfterMs: 120_000,
  stepAfterBytes: 1024 * MiB,
  overdueAfterMs: 360_000,
  overdueAfterBytes: 4096 * MiB,
  maxSkip: 0,
  maxSkippedKeys: 2_000,
  // So that the length of a full chain still fits into PN.
  maxPackets: 0xffff_ffff,
};

assert(
  LINK_RATCHET.overdueAfterMs >= 2 * LINK_RATCHET.stepAfterMs,
  "a peer's slow packet is not an overdue step",
);
assert(LINK_RATCHET.overdueAfterBytes >= 2 * LINK_RATCHET.stepAfterBytes, "nor are packets under way");
assert(LINK_RATCHET.maxPackets < 2 ** 32, "numbers and the length of a chain are u32");
