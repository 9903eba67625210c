import type { DialResult, ResetCode, Tunnel } from "../proto/index.ts";

/** What a stream needs of the driver of its tunnel. */
export interface StreamOwner {
  readonly tunnel: Tunnel;
  /** Payload written so far, for status pages. */
  bytesOut: number;
  queueFlush(): void;
  forget(id: number): void;
}

/** One stream as its socket sees it. Calls after the stream's end do nothing. */
export class TunnelStream {
  readonly #driver: StreamOwner;
  readonly id: number;

  constructor(driver: StreamOwner, id: number) {
    this.#driver = driver;
    this.id = id;
  }

  /** Server: says how the dial went. */
  respond(result: DialResult): void {
    this.#driver.tunnel.respond(this.id, result, performance.now());
    this.#driver.queueFlush();
  }

  /** False: pause until `onWritable`. */
  write(bytes: Uint8Array): boolean {
    this.#driver.bytesOut += bytes.length;
    const more = this.#driver.tunnel.write(this.id, bytes, performance.now());
    this.#driver.queueFlush();
    return more;
  }

  finish(): void {
    this.#driver.tunnel.finish(this.id, performance.now());
    this.#driver.queueFlush();
  }

  consumed(count: number): void {
    this.#driver.tunnel.consumed(this.id, count, performance.now());
    this.#driver.queueFlush();
  }

  reset(code: ResetCode): void {
    this.#driver.tunnel.reset(this.id, code);
    this.release();
  }

  /** Nobody listens any more. The tunnel goes on to deliver what was written. */
  release(): void {
    this.#driver.forget(this.id);
    this.#driver.queueFlush();
  }
}
