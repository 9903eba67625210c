import { type DialError, mostTelling } from "./dial-error.ts";
import type { Attempt, Connect, ProbeSocket } from "./probe.ts";

/** Addresses in the order to try them: families alternate, starting with that of the first (RFC 8305 section 4). */
export function interleaveFamilies(addresses: readonly Uint8Array[]): Uint8Array[] {
  const first = addresses.filter((address) => address.length === addresses[0]?.length);
  const second = addresses.filter((address) => address.length !== addresses[0]?.length);
  const order: Uint8Array[] = [];
  for (let index = 0; index < Math.max(first.length, second.length); index++) {
    order.push(...first.slice(index, index + 1), ...second.slice(index, index + 1));
  }
  return order;
}

export interface RaceOptions {
  /** At least one, in the order to try. */
  readonly addresses: readonly Uint8Array[];
  readonly port: number;
  readonly connect: Connect;
  readonly staggerMs: number;
  /** The first connected socket, to be handed over before this returns. Called at most once, and then not `lost`. */
  readonly won: (socket: ProbeSocket) => void;
  /** Every address failed. */
  readonly lost: (error: DialError) => void;
}

/**
 * Happy Eyeballs (RFC 8305 section 5): the next address is tried as soon as one fails, or after the stagger while the
 * earlier ones go on; the first connection wins and the others are closed.
 */
export class Race {
  readonly #options: RaceOptions;
  readonly #attempts: Attempt[] = [];
  readonly #errors: DialError[] = [];
  #next = 0;
  #over = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: RaceOptions) {
    this.#options = options;
  }

  start(): void {
    this.#tryNext();
  }

  /** Closes every attempt; nothing is reported any more. */
  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    for (const attempt of this.#attempts) attempt.abandon();
  }

  #tryNext(): void {
    const { addresses, port, connect, staggerMs } = this.#options;
    clearTimeout(this.#timer);
    const address = addresses[this.#next++];
    if (address === undefined || this.#over) return;
    if (this.#next < addresses.length) this.#timer = setTimeout(() => this.#tryNext(), staggerMs);
    this.#attempts.push(
      connect(address, port, {
        connected: (socket) => this.#win(socket),
        failed: (error) => this.#lose(error),
      }),
    );
  }

  #win(socket: ProbeSocket): void {
    if (this.#over) {
      socket.terminate();
      return;
    }
    this.stop();
    this.#options.won(socket);
  }

  #lose(error: DialError): void {
    if (this.#over) return;
    this.#errors.push(error);
    if (this.#errors.length < this.#options.addresses.length) return this.#tryNext();
    this.stop();
    this.#options.lost(mostTelling(this.#errors));
  }
}
