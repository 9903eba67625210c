import { LIMITS } from "../../src/proto/index.ts";
import type { Dice } from "./dice.ts";
import type { RequestMix } from "./request.ts";
import type { Path } from "./wire.ts";

export const FAULTS = [
  "cut",
  "shut",
  "stall",
  "damage",
  "restart",
  "freeze",
  "jump",
  "network",
  "outage",
  "slotOutage",
  "lateDial",
  "lostAccept",
  "oldBundle",
  "goAway",
  "second",
  "replay",
] as const;
export type Fault = (typeof FAULTS)[number];

/** What one seed's world is like. */
export interface Plan {
  readonly path: Path;
  readonly slots: number;
  /** When the client replaces a link, ± 20 %. */
  readonly linkAgeMs: number;
  readonly resumeWindowMs: number;
  /** What a tunnel may hold at the server while the client is away: above it the tunnel goes at once. */
  readonly detachedBytes: number;
  /** What each end takes beyond the streams' exemptions. */
  readonly poolBytes: number;
  /** What each end keeps of its applications' bytes. */
  readonly sendPoolBytes: number;
  readonly requests: number;
  readonly mix: RequestMix;
  /** How long faults happen and requests begin. */
  readonly activeMs: number;
  readonly faults: readonly Fault[];
  readonly faultEveryMs: number;
  /** For how long the server is gone at one stretch, in some seeds for longer than it keeps tunnels; 0: never. */
  readonly goneMs: number;
  /** How often a dial fails at once. */
  readonly dialFailureShare: number;
}

const KiB = 1024;

/**
 * A seed enables some kinds of fault and not others (swarm testing, Groce et al. 2012): a mix of everything keeps every
 * link too short-lived for what only happens on an old one.
 */
export function makePlan(dice: Dice): Plan {
  const delayMs = dice.spread(1, 2_000) / 10;
  // Now and then a path so slow that a long message would take longer than silence may last.
  const slow = dice.chance(0.1);
  const path = {
    delayMs,
    jitterMs: dice.chance(0.5) ? 0 : delayMs * dice.unit(),
    bytesPerMs: slow ? dice.spread(4, 60) : dice.spread(60, 200_000),
    gatherMs: dice.chance(0.6) ? 0 : dice.spread(1, 50),
  };
  // Now and then more streams than fit into one Resume frame, and then small ones.
  const many = dice.chance(0.006);
  const resumeWindowMs = dice.chance(0.6) ? 300_000 : dice.spread(200, 40_000);
  return {
    path,
    slots: dice.chance(0.5) ? 1 : 2 + dice.int(2),
    // Never so young that renewals alone, each with a gate key on all links, would keep a quiet tunnel busy.
    linkAgeMs: dice.chance(0.7) ? LIMITS.linkAgeMs : dice.spread(20_000, 120_000),
    resumeWindowMs,
    detachedBytes: dice.chance(0.7) ? 1024 * KiB * KiB : dice.spread(4 * KiB, 512 * KiB),
    poolBytes: dice.chance(0.5) ? 64 * KiB * KiB : dice.spread(64 * KiB, 1024 * KiB),
    sendPoolBytes: dice.chance(0.6) ? 64 * KiB * KiB : dice.spread(64 * KiB, 2048 * KiB),
    requests: many ? dice.spread(500, 800) : dice.spread(1, 30),
    mix: {
      smallBytes: many ? 1_024 : 64 * KiB,
      bigShare: many || slow || dice.chance(0.5) ? 0 : dice.unit() * 0.3,
      resetShare: dice.chance(0.5) ? 0 : dice.unit() * 0.5,
      slowShare: dice.chance(0.5) ? 0 : dice.unit(),
      lateShare: dice.chance(0.6) ? 0 : dice.unit() * 0.5,
      dialFailureShare: dice.chance(0.5) ? 0 : dice.unit() * 0.3,
    },
    activeMs: dice.spread(500, 60_000),
    faults: FAULTS.filter(() => dice.chance(0.35)),
    faultEveryMs: dice.spread(50, 20_000),
    goneMs: dice.chance(0.9) ? 0 : (resumeWindowMs + 60_000) * dice.between(0.5, 2.5),
    dialFailureShare: dice.chance(0.7) ? 0 : dice.unit() * 0.7,
  };
}
