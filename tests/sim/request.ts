import type { DialResult, ResetCode } from "../../src/proto/index.ts";
import type { Dice } from "./dice.ts";

/** How an application reads. `late`: nothing until the faults stop. */
export type Reading =
  | { readonly kind: "eager" }
  | { readonly kind: "slow"; readonly bytes: number; readonly everyMs: number }
  | { readonly kind: "late" };

/** What the application at one end of a stream does. */
export interface EndPlan {
  /** Bytes it sends. */
  readonly bytes: number;
  readonly chunkBytes: number;
  readonly pauseMs: number;
  readonly reading: Reading;
  /** It ends its direction only when the peer has ended the other. */
  readonly answersFin: boolean;
  /** It breaks the stream after so long. */
  readonly resetAfterMs: number | undefined;
}

/** One request of an application: what both of its ends do, and what has become of it. */
export interface Request {
  readonly id: number;
  readonly client: EndPlan;
  readonly server: EndPlan;
  /** The client does not wait for the response before it sends. */
  readonly optimistic: boolean;
  readonly dialMs: number;
  readonly dialResult: DialResult;
  /** How often a server has been asked for it. */
  runs: number;
  /** The client has put its ProxyConnect into a packet: it may have run. */
  sealed: boolean;
  /** It may have run where the server has lost its tunnel: no other request may break as `lost`. */
  mayBeLost: boolean;
  /** What the applications did to it. */
  clientReset?: ResetCode;
  serverReset?: ResetCode;
}

const BIGGEST_BYTES = 3 * 1024 * 1024;

export interface RequestMix {
  /** Most bytes of a request that is not a big one. */
  readonly smallBytes: number;
  readonly bigShare: number;
  readonly resetShare: number;
  readonly slowShare: number;
  readonly lateShare: number;
  readonly dialFailureShare: number;
}

export function makeRequest(id: number, dice: Dice, mix: RequestMix): Request {
  // If both ends waited for the other's FIN, neither would end.
  const waiting = dice.pick(["client", "server", "nobody"]);
  return {
    id,
    client: makeEnd(dice, mix, waiting === "client"),
    server: makeEnd(dice, mix, waiting === "server"),
    optimistic: dice.chance(0.5),
    dialMs: dice.chance(0.5) ? 0 : dice.spread(1, 2_000),
    dialResult: dice.chance(mix.dialFailureShare) ? dice.pick(["refused", "timeout", "policy"]) : "connected",
    runs: 0,
    sealed: false,
    mayBeLost: false,
  };
}

function makeEnd(dice: Dice, mix: RequestMix, answersFin: boolean): EndPlan {
  return {
    bytes: makeSize(dice, mix),
    chunkBytes: dice.pick([dice.spread(1, 1_000) + 200, 16 * 1024, 65_536, 512 * 1024]),
    pauseMs: dice.chance(0.5) ? 0 : dice.spread(1, 500),
    reading: makeReading(dice, mix),
    answersFin,
    resetAfterMs: dice.chance(mix.resetShare) ? dice.spread(1, 20_000) - 1 : undefined,
  };
}

function makeSize(dice: Dice, { bigShare, smallBytes }: RequestMix): number {
  if (dice.chance(0.1)) return 0;
  if (dice.chance(bigShare)) return dice.spread(64 * 1024, BIGGEST_BYTES);
  return dice.spread(1, smallBytes);
}

function makeReading(dice: Dice, { slowShare, lateShare }: RequestMix): Reading {
  if (dice.chance(lateShare)) return { kind: "late" };
  if (!dice.chance(slowShare)) return { kind: "eager" };
  return { kind: "slow", bytes: dice.spread(1, 64 * 1024), everyMs: dice.spread(1, 300) };
}
