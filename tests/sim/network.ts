import type { Clock } from "./clock.ts";
import type { Dice } from "./dice.ts";
import { Node } from "./node.ts";
import { type Path, Wire, type WireEnd } from "./wire.ts";

export interface NetworkOptions {
  readonly clock: Clock;
  readonly dice: Dice;
  readonly path: Path;
  readonly client: Node;
  readonly server: Node;
  /** A wire has reached the server. */
  readonly onConnected: (end: WireEnd) => void;
}

/** Everything between the client and the server. */
export class Network {
  readonly #options: NetworkOptions;
  readonly #wires = new Set<Wire>();
  /** What the client's first link said first. */
  recordedDial: Uint8Array | undefined;
  /** What the server has said first on the newest link. */
  recordedBundle: Uint8Array | undefined;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** Wires that at least one end believes in. */
  get wires(): Wire[] {
    for (const wire of this.#wires) if (!wire.alive) this.#wires.delete(wire);
    return [...this.#wires];
  }

  /** A wire from the client to the server, which hears of it one delay later. */
  connect(): Wire {
    const wire = this.#wire(this.#options.client);
    this.#wires.add(wire);
    hearFirst(wire.client, (bytes) => {
      this.recordedDial ??= bytes;
    });
    hearFirst(wire.server, (bytes) => {
      this.recordedBundle = bytes;
    });
    return wire;
  }

  /** A wire of somebody who is not our client. */
  strangerWire(): Wire {
    const wire = this.#wire(new Node(this.#options.clock, () => {}));
    wire.tampered = true;
    return wire;
  }

  #wire(client: Node): Wire {
    const { clock, dice, path, server, onConnected } = this.#options;
    const wire = new Wire(clock, dice, path, client, server);
    clock.after(path.delayMs, () => server.run(() => onConnected(wire.server)));
    return wire;
  }
}

/** Tells of the first message that `end` sends. */
function hearFirst(end: WireEnd, note: (bytes: Uint8Array) => void): void {
  const send = end.send.bind(end);
  end.send = (bytes) => {
    end.send = send;
    note(Uint8Array.from(bytes));
    return send(bytes);
  };
}
