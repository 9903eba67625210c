import type { Socket } from "bun";
import { release } from "../../src/proto/index.ts";
import { ACK_BYTES, type FloorMode, LEAD_BYTES, Sealer } from "./message.ts";

const MESSAGE_BYTES = 256 * 1024;
/** What the WebSocket may hold before the application's socket is paused, and when it goes on. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
const POLL_MS = 1;
/** Messages that wait for the application's socket before the WebSocket is paused. */
const MAX_WAITING = 8;
/** More than rvpn keeps, which is 2 MiB or 4 ms beyond the round trip. */
const KEPT_BYTES = 10 * 1024 * 1024;
const ACK_EVERY_BYTES = 512 * 1024;

/** Either end's WebSocket. `send` copies. */
export interface Carrier {
  readonly buffered: number;
  send(message: Uint8Array): void;
  pause(): void;
  resume(): void;
  close(): void;
}

/** What of a socket is needed here. */
type LocalSocket = Pick<Socket<unknown>, "write" | "pause" | "resume" | "end">;

/** One connection between a socket and its WebSocket, at either end. Buffers are given back as rvpn does it. */
export class Relay {
  readonly #carrier: Carrier;
  readonly #keeps: boolean;
  readonly #sealer: Sealer;
  #socket: LocalSocket | undefined;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #lead: Uint8Array | undefined;
  #waiting: Uint8Array[] = [];
  /** Of the first one that waits. */
  #written = 0;
  #received = 0;
  #acked = 0;
  #isOver = false;

  constructor(carrier: Carrier, mode: FloorMode) {
    this.#carrier = carrier;
    this.#keeps = mode === "kept";
    this.#sealer = new Sealer(mode);
  }

  /** What came before there was a socket goes out. */
  attach(socket: LocalSocket): void {
    this.#socket = socket;
    this.socketDrain();
  }

  fromSocket(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += MESSAGE_BYTES) {
      const { lead, body } = this.#sealer.seal(bytes.subarray(at, at + MESSAGE_BYTES));
      this.#carrier.send(lead);
      this.#carrier.send(body);
      if (body.buffer !== bytes.buffer) release(body);
    }
    if (this.#keeps) this.#keep(bytes);
    else release(bytes);
    if (this.#carrier.buffered > MAX_BUFFERED_BYTES) this.#pauseSocket();
  }

  #keep(bytes: Uint8Array): void {
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
    while (this.#keptBytes > KEPT_BYTES) {
      const oldest = this.#kept.shift();
      if (oldest === undefined) return;
      this.#keptBytes -= oldest.length;
      release(oldest);
    }
  }

  #pauseSocket(): void {
    this.#socket?.pause();
    const poll = () => {
      if (this.#isOver) return;
      if (this.#carrier.buffered > MAX_BUFFERED_BYTES) setTimeout(poll, POLL_MS);
      else this.#socket?.resume();
    };
    setTimeout(poll, POLL_MS);
  }

  fromCarrier(message: Uint8Array): void {
    const lead = this.#lead;
    if (lead === undefined) {
      // An acknowledgement has come all the way, which is what it is here for.
      if (message.length === LEAD_BYTES) this.#lead = message;
      return;
    }
    this.#lead = undefined;
    const plain = this.#sealer.open({ lead, body: message });
    if (plain !== message) release(message);
    this.#received += plain.length;
    if (this.#keeps && this.#received - this.#acked >= ACK_EVERY_BYTES) this.#acknowledge();
    this.#waiting.push(plain);
    this.socketDrain();
    if (this.#waiting.length >= MAX_WAITING) this.#carrier.pause();
  }

  #acknowledge(): void {
    this.#acked = this.#received;
    const ack = Buffer.alloc(ACK_BYTES);
    ack.writeUIntBE(this.#acked, 0, 6);
    this.#carrier.send(ack);
  }

  socketDrain(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const taken = socket.write(this.#written === 0 ? first : first.subarray(this.#written));
      if (taken < 0) return;
      this.#written += taken;
      if (this.#written < first.length) return;
      release(first);
      this.#waiting.shift();
      this.#written = 0;
    }
    if (this.#isOver) socket.end();
    else this.#carrier.resume();
  }

  socketClosed(): void {
    this.#isOver = true;
    this.#socket = undefined;
    for (const bytes of this.#kept.splice(0)) release(bytes);
    this.#carrier.close();
  }

  /** Ends the socket once all has been written. */
  carrierClosed(): void {
    this.#isOver = true;
    this.socketDrain();
  }
}
