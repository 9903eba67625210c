import type { DialResult, ResetCode, Tunnel } from "../proto/index.ts";

/** What the far end of a stream has to say to the application's socket. */
export interface StreamListener {
  onResponse(result: DialResult): void;
  onData(bytes: Uint8Array): void;
  onFin(): void;
  onReset(code: ResetCode): void;
  /** Others have filled the memory of the tunnel: nothing more is written until `onWritable`. */
  onFull(): void;
  /** `most`: at most so many bytes in the next write, if that can be had. */
  onWritable(most?: number): void;
}

/** What a stream needs of the driver of its tunnel. */
export interface StreamOwner {
  /** Payload written so far, for status pages. */
  bytesOut: number;
  /** Runs a command on the tunnel; undefined when the tunnel is no more. */
  command<T>(run: (tunnel: Tunnel, now: number) => T): T | undefined;
  forget(id: number): void;
}

/** One stream as its socket sees it. Calls after the stream's end do nothing. */
export class TunnelStream {
  readonly #owner: StreamOwner;
  readonly id: number;

  constructor(owner: StreamOwner, id: number) {
    this.#owner = owner;
    this.id = id;
  }

  /** Server: says how the dial went. */
  respond(result: DialResult): void {
    this.#owner.command((tunnel, now) => tunnel.respond(this.id, result, now));
  }

  /** False: pause until `onWritable`. So does `onFull`, at any time. */
  write(bytes: Uint8Array): boolean {
    this.#owner.bytesOut += bytes.length;
    return this.#owner.command((tunnel, now) => tunnel.write(this.id, bytes, now)) ?? true;
  }

  finish(): void {
    this.#owner.command((tunnel, now) => tunnel.finish(this.id, now));
  }

  consumed(count: number): void {
    this.#owner.command((tunnel, now) => tunnel.consumed(this.id, count, now));
  }

  reset(code: ResetCode): void {
    this.#owner.command((tunnel) => tunnel.reset(this.id, code));
    this.release();
  }

  /** Nobody listens any more. The tunnel goes on to deliver what was written. */
  release(): void {
    this.#owner.forget(this.id);
  }
}
