import { interfaceAddresses } from "../runtime/machine.ts";

/** What may have cut every connection without a word: another network, or a sleep. */
export type Disturbance = "network" | "slept";

export interface NetworkWatchPorts {
  /** Ms of a clock that a suspended machine does not advance. */
  readonly steadyNow: () => number;
  /** Ms of the wall clock. */
  readonly wallNow: () => number;
  /** The machine's own addresses, in one text; undefined where it cannot say. */
  readonly addresses: () => string | undefined;
}

/** One look costs some 30 µs with a few interfaces: at this pace a hundredth of a thousandth of a core. */
const LOOK_EVERY_MS = 3_000;
/** Later than this is no busy machine: the process was stopped, or the clocks have drifted apart in a suspension. */
const SLEPT_MS = 3_000;

const SYSTEM: NetworkWatchPorts = {
  steadyNow: () => performance.now(),
  wallNow: () => Date.now(),
  addresses: ownAddresses,
};

/** Looks every few seconds whether the network has changed or time was lost. */
export class NetworkWatch {
  readonly #ports: NetworkWatchPorts;
  readonly #onDisturbance: (what: Disturbance) => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #steady = 0;
  #wall = 0;
  #addresses = "";

  constructor(onDisturbance: (what: Disturbance) => void, ports: NetworkWatchPorts = SYSTEM) {
    this.#onDisturbance = onDisturbance;
    this.#ports = ports;
  }

  start(): void {
    this.#remember();
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Compares now with the last look. */
  look(): void {
    const { steady, wall, addresses } = this.#remember();
    // Set back, the wall clock says nothing; set forward, it costs one ping.
    const slept = Math.max(steady - LOOK_EVERY_MS, wall - steady) > SLEPT_MS;
    if (slept) this.#onDisturbance("slept");
    else if (addresses) this.#onDisturbance("network");
  }

  /** How far the clocks went since the last time, and whether the addresses are others. */
  #remember(): { readonly steady: number; readonly wall: number; readonly addresses: boolean } {
    const [steady, wall, addresses] = [
      this.#ports.steadyNow(),
      this.#ports.wallNow(),
      this.#ports.addresses(),
    ];
    const since = {
      steady: steady - this.#steady,
      wall: wall - this.#wall,
      // Not known is no change: links that live must not be checked every three seconds.
      addresses: addresses !== undefined && addresses !== this.#addresses,
    };
    this.#steady = steady;
    this.#wall = wall;
    this.#addresses = addresses ?? this.#addresses;
    return since;
  }
}

// Loopback reaches no server that a change of network could cut off.
function ownAddresses(): string | undefined {
  const others = interfaceAddresses()?.filter(({ internal }) => !internal);
  const texts = others?.map(({ interfaceName, cidr, address }) => `${interfaceName} ${cidr ?? address}`);
  return texts?.sort().join("\n");
}
