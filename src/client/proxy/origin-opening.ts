import type { Destination } from "../../proto/index.ts";
import type { Keeper } from "../keeper.ts";
import { Patience } from "../patience.ts";
import { targetOf } from "./http-pool.ts";
import { OriginConnection, type OriginListener } from "./origin-connection.ts";

export interface OpeningOptions {
  readonly keeper: Pick<Keeper, "wait" | "open" | "state" | "downMs">;
  /** How long a request waits for a link, in ms. */
  readonly waitMs: number;
}

export interface Opening {
  /** The new connection, which may be written to at once, or why there is none. */
  readonly origin: OriginConnection | "overloaded" | "noTunnel";
  /** The request waits for it no more, whatever came of it. */
  settle(): void;
}

/** Opens a new connection to an origin. `onOver` is called if no link comes in time, unless it is settled before. */
export function openOrigin(
  { keeper, waitMs }: OpeningOptions,
  destination: Destination,
  listener: OriginListener,
  onOver: () => void,
): Opening {
  const origin = new OriginConnection(targetOf(destination), listener);
  let release: (() => void) | undefined = keeper.wait();
  const patience = new Patience(keeper, waitMs, onOver);
  const settle = () => {
    release?.();
    release = undefined;
    patience.end();
  };
  const stream = keeper.open(destination, origin);
  if (stream === undefined) return { origin: keeper.state === "up" ? "overloaded" : "noTunnel", settle };
  origin.join(stream);
  return { origin, settle };
}
