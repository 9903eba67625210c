import type { Socket, SocketHandler } from "bun";
import { formatIp } from "../runtime/address.ts";
import { DialError, failureOfErrno } from "./dial-error.ts";

/** A socket under way or just connected, not yet in the hands of whoever asked for it. */
export type ProbeSocket = Socket<Probe>;

/** What an attempt to connect reports: one of the two, once, unless it is abandoned before. */
export interface AttemptEvents {
  /** The callee must hand the socket over or terminate it before it returns, or bytes from the peer are lost. */
  connected(socket: ProbeSocket): void;
  failed(error: DialError): void;
}

/** A connection under way. */
export interface Attempt {
  /** Closes the socket. No event comes after. Does nothing once an event came. */
  abandon(): void;
}

/** Starts to connect to an address of 4 or 16 bytes. `failed` may be called before it returns. */
export type Connect = (address: Uint8Array, port: number, events: AttemptEvents) => Attempt;

/** One attempt: what stands behind `socket.data` until the socket is handed over. */
export class Probe implements Attempt {
  readonly #address: Uint8Array;
  readonly #port: number;
  readonly #events: AttemptEvents;
  #socket: ProbeSocket | undefined;
  #over = false;

  constructor(address: Uint8Array, port: number, events: AttemptEvents) {
    this.#address = address;
    this.#port = port;
    this.#events = events;
  }

  /** There is a socket to close, though it is not connected yet. */
  attach(socket: ProbeSocket): void {
    if (this.#over) socket.terminate();
    else this.#socket = socket;
  }

  succeed(socket: ProbeSocket): void {
    if (this.#over) return socket.terminate();
    this.#over = true;
    this.#events.connected(socket);
  }

  /** The system refused, with an error of this name (`ECONNREFUSED`); undefined where it gave no reason. */
  fail(errno: string | undefined, failure = failureOfErrno(errno), rule?: string): void {
    if (this.#over) return;
    this.abandon();
    const target = `${formatIp(this.#address)} port ${this.#port}`;
    const options = rule === undefined ? {} : { rule };
    this.#events.failed(
      new DialError(failure, `connect to ${target}: ${errno ?? "closed at once"}`, options),
    );
  }

  abandon(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket?.terminate();
  }
}

/**
 * Gives a connected socket to its user: from here on `handlers` are called, with `data` as `socket.data`. Nothing the
 * peer sends is lost if this happens within `connected`, because Bun delivers data after that callback.
 */
export function handOver<T>(from: Socket<unknown>, handlers: SocketHandler<T>, data: T): Socket<T> {
  // The two lines after this replace all that the one before put there: its handlers and what they see as socket.data.
  const socket = from as Socket<T>;
  socket.data = data;
  socket.reload({ socket: handlers });
  return socket;
}
