import type { Clock } from "./clock.ts";
import type { Dice } from "./dice.ts";
import type { Node } from "./node.ts";

/** What a path is like. Bandwidth in bytes per ms. */
export interface Path {
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly bytesPerMs: number;
  /** For how long a receiver gathers messages that it then takes in one go; 0: each by itself, a lead without its body. */
  readonly gatherMs: number;
}

/** Damage to one message: bits flipped, sent twice, cut short or swallowed. */
export type Damage = "flip" | "repeat" | "truncate" | "swallow";

type Parcel = { readonly kind: "message"; readonly bytes: Uint8Array } | { readonly kind: "close" };

/** One direction of a wire: keeps the order, takes time, may stand still. */
class Lane {
  readonly #clock: Clock;
  readonly #dice: Dice;
  readonly #path: Path;
  readonly #arrive: (parcels: readonly Parcel[]) => void;
  #freeAt = 0;
  #lastArrival = 0;
  #stalled = false;
  #severed = false;
  #held: Parcel[] = [];
  #gathered: Parcel[] = [];
  #damage: Damage | undefined;
  #replacement: Uint8Array | undefined;

  constructor(clock: Clock, dice: Dice, path: Path, arrive: (parcels: readonly Parcel[]) => void) {
    this.#clock = clock;
    this.#dice = dice;
    this.#path = path;
    this.#arrive = arrive;
  }

  send(parcel: Parcel): void {
    if (parcel.kind === "message" && this.#replacement !== undefined) {
      const bytes = this.#replacement;
      this.#replacement = undefined;
      return this.#queue({ kind: "message", bytes });
    }
    if (parcel.kind === "close" || this.#damage === undefined) return this.#queue(parcel);
    const damage = this.#damage;
    this.#damage = undefined;
    for (const bytes of this.#damaged(parcel.bytes, damage)) this.#queue({ kind: "message", bytes });
  }

  #damaged(bytes: Uint8Array, damage: Damage): Uint8Array[] {
    switch (damage) {
      case "flip": {
        const copy = Uint8Array.from(bytes);
        const at = this.#dice.int(copy.length);
        copy[at] = (copy[at] ?? 0) ^ (1 << this.#dice.int(8));
        return [copy];
      }
      case "repeat":
        return [bytes, bytes];
      case "truncate":
        return [bytes.subarray(0, this.#dice.int(bytes.length))];
      case "swallow":
        return [];
    }
  }

  #queue(parcel: Parcel): void {
    const { delayMs, jitterMs, bytesPerMs } = this.#path;
    const size = parcel.kind === "message" ? parcel.bytes.length + 8 : 4;
    this.#freeAt = Math.max(this.#freeAt, this.#clock.now) + size / bytesPerMs;
    const arrival = this.#freeAt + delayMs + this.#dice.unit() * jitterMs;
    this.#lastArrival = Math.max(this.#lastArrival, arrival);
    this.#clock.at(this.#lastArrival, () => this.#arrived(parcel));
  }

  #arrived(parcel: Parcel): void {
    if (this.#severed) return;
    if (this.#stalled) this.#held.push(parcel);
    else if (this.#path.gatherMs === 0) this.#arrive([parcel]);
    else this.#gather(parcel);
  }

  #gather(parcel: Parcel): void {
    this.#gathered.push(parcel);
    if (this.#gathered.length > 1) return;
    this.#clock.after(this.#path.gatherMs, () => {
      const gathered = this.#gathered;
      this.#gathered = [];
      if (this.#stalled) this.#held.unshift(...gathered);
      else if (gathered.length > 0) this.#arrive(gathered);
    });
  }

  damageNext(damage: Damage): void {
    this.#damage = damage;
  }

  replaceNext(bytes: Uint8Array): void {
    this.#replacement = bytes;
  }

  stall(): void {
    this.#stalled = true;
  }

  release(): void {
    this.#stalled = false;
    const held = this.#held;
    this.#held = [];
    for (const parcel of held) this.#arrived(parcel);
  }

  sever(): void {
    this.#severed = true;
    this.#held = [];
    this.#gathered = [];
  }
}

/** One end of a wire, as a shell holds it. */
export class WireEnd {
  readonly wire: Wire;
  readonly #node: Node;
  readonly #send: (parcel: Parcel) => void;
  onMessage: (bytes: Uint8Array) => void = () => {};
  onClose: (reason: string) => void = () => {};
  #open = true;

  constructor(wire: Wire, node: Node, send: (parcel: Parcel) => void) {
    this.wire = wire;
    this.#node = node;
    this.#send = send;
  }

  get open(): boolean {
    return this.#open;
  }

  send(bytes: Uint8Array): boolean {
    if (!this.#open) return false;
    // The tunnel may reuse its buffers, and a receiver must not see another's memory.
    this.#send({ kind: "message", bytes: Uint8Array.from(bytes) });
    return true;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#send({ kind: "close" });
  }

  /** Parcels that came together: the machine looks up only after the last of them. */
  arrive(parcels: readonly Parcel[]): void {
    this.#node.run(() => {
      for (const parcel of parcels) {
        if (!this.#open) return;
        if (parcel.kind === "message") this.onMessage(parcel.bytes);
        else this.lost("the peer closed");
      }
    });
  }

  /** The machine learns that the wire is gone. */
  lost(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.onClose(reason);
  }
}

/** Who learns of a cut: nobody is a half-open connection on both sides. */
export type Told = "both" | "client" | "server" | "nobody";

/** A simulated WebSocket: whole messages, in order, both ways, until something happens to it. */
export class Wire {
  readonly client: WireEnd;
  readonly server: WireEnd;
  /** Something was done to its messages: whatever the ends say of each other is forgiven. */
  tampered = false;
  readonly #up: Lane;
  readonly #down: Lane;
  readonly #clientNode: Node;
  readonly #serverNode: Node;

  constructor(clock: Clock, dice: Dice, path: Path, clientNode: Node, serverNode: Node) {
    this.#clientNode = clientNode;
    this.#serverNode = serverNode;
    this.#up = new Lane(clock, dice, path, (parcels) => this.server.arrive(parcels));
    this.#down = new Lane(clock, dice, path, (parcels) => this.client.arrive(parcels));
    this.client = new WireEnd(this, clientNode, (parcel) => this.#up.send(parcel));
    this.server = new WireEnd(this, serverNode, (parcel) => this.#down.send(parcel));
  }

  get alive(): boolean {
    return this.client.open || this.server.open;
  }

  stall(which: "up" | "down" | "both"): void {
    if (which !== "down") this.#up.stall();
    if (which !== "up") this.#down.stall();
  }

  release(): void {
    this.#up.release();
    this.#down.release();
  }

  damage(which: "up" | "down", damage: Damage): void {
    this.tampered = true;
    (which === "up" ? this.#up : this.#down).damageNext(damage);
  }

  /** The next message arrives as `bytes` instead. */
  replaceNext(which: "up" | "down", bytes: Uint8Array): void {
    this.tampered = true;
    (which === "up" ? this.#up : this.#down).replaceNext(bytes);
  }

  /** Closed from between the ends: both read what is under way, then the end. */
  shut(): void {
    this.#up.send({ kind: "close" });
    this.#down.send({ kind: "close" });
  }

  /** The client's end is gone and nobody tells the server, which still gets what was sent. */
  orphan(): void {
    this.#down.sever();
    this.#clientNode.run(() => this.client.lost("the connection was reset"));
  }

  cut(told: Told): void {
    this.#up.sever();
    this.#down.sever();
    const reason = "the connection was reset";
    if (told === "both" || told === "client") this.#clientNode.run(() => this.client.lost(reason));
    if (told === "both" || told === "server") this.#serverNode.run(() => this.server.lost(reason));
  }
}
