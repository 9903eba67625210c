import type { Socket, SocketHandler } from "bun";
import type { Destination } from "../proto/index.ts";
import { parseIp } from "../runtime/address.ts";
import type { Dialer, SocketSetup } from "./dialer.ts";
import { handOver } from "./probe.ts";

type SpareState =
  | { readonly kind: "connecting" }
  | {
      readonly kind: "ready";
      readonly socket: Socket<Spare>;
      readonly address: Uint8Array;
      readonly at: number;
    }
  | { readonly kind: "over" };

/** How an unused spare went: its dial came to nothing, we closed it, or its peer made it useless. */
export type SpareFate = "failed" | "closed" | "spoilt";

export interface SpareOptions {
  /** Whom it is for, and to where: nobody else gets it. */
  readonly owner: string;
  readonly target: string;
  readonly now: () => number;
  readonly onReady: () => void;
  /** It is no more, unused. Not called for one that was handed out. */
  readonly onOver: (spare: Spare, fate: SpareFate) => void;
}

/**
 * One socket connected ahead of need. Nobody reads from it: whatever its peer does before it is used, bytes, end or
 * reset, makes it useless, for its user would take that for an answer to what he sends.
 */
export class Spare {
  readonly owner: string;
  readonly target: string;
  readonly #options: SpareOptions;
  readonly #abort = new AbortController();
  #state: SpareState = { kind: "connecting" };

  constructor(options: SpareOptions) {
    this.owner = options.owner;
    this.target = options.target;
    this.#options = options;
  }

  /** Dials as for a stream: names are looked up and addresses judged. A dial that fails is over, and nobody is told why. */
  connect(dialer: Dialer, destination: Destination): void {
    const setup = { handlers: HANDLERS, data: this };
    dialer.dial(destination, setup, this.#abort.signal).catch(() => this.discard());
  }

  /** The address it is connected to, and when that was; undefined while it cannot be used. */
  get ready():
    | { readonly socket: Socket<Spare>; readonly address: Uint8Array; readonly at: number }
    | undefined {
    return this.#state.kind === "ready" ? this.#state : undefined;
  }

  opened(socket: Socket<Spare>): void {
    if (this.#state.kind !== "connecting") return void socket.end();
    // As the kernel has it, not as anybody meant it to be.
    const address = parseIp(socket.remoteAddress);
    if (address === undefined) {
      socket.end();
      return this.discard();
    }
    this.#state = { kind: "ready", socket, address, at: this.#options.now() };
    this.#options.onReady();
  }

  /** Closes it, or gives up its dial. Again does nothing. */
  discard(fate: Exclude<SpareFate, "failed"> = "closed"): void {
    const state = this.#state;
    if (state.kind === "over") return;
    this.#state = { kind: "over" };
    if (state.kind === "ready") state.socket.end();
    else this.#abort.abort("the spare is not needed");
    this.#options.onOver(this, state.kind === "ready" ? fate : "failed");
  }

  /** Gives the socket to its user as a dial would. Only while `ready`, and once; it then knows nothing of this spare. */
  handOver<T>({ handlers, data }: SocketSetup<T>): Socket<T> | undefined {
    const state = this.#state;
    if (state.kind !== "ready") return undefined;
    this.#state = { kind: "over" };
    const socket = handOver(state.socket, handlers, data);
    void handlers.open?.(socket);
    return socket;
  }
}

const HANDLERS: SocketHandler<Spare> = {
  open: (socket) => socket.data.opened(socket),
  data: (socket) => socket.data.discard("spoilt"),
  end: (socket) => socket.data.discard("spoilt"),
  close: (socket) => socket.data.discard("spoilt"),
  error: (socket) => socket.data.discard("spoilt"),
};
