import { assert, type DialResult, type ResetCode } from "../../proto/index.ts";
import type { StreamListener, TunnelStream } from "../../runtime/tunnel-stream.ts";

export type OriginListener = StreamListener;

/**
 * One connection to an origin: a stream of the tunnel, and whoever has the use of it now. Handing it on is setting
 * `listener`; there is never more than one, and the one before hears nothing more.
 */
export class OriginConnection implements StreamListener {
  /** Host and port, as `targetOf` of http-pool.ts writes them. */
  readonly target: string;
  listener: OriginListener;
  #stream: TunnelStream | undefined;

  constructor(target: string, listener: OriginListener) {
    this.target = target;
    this.listener = listener;
  }

  join(stream: TunnelStream): void {
    this.#stream = stream;
  }

  /** False: pause until `onWritable`. */
  write(bytes: Uint8Array): boolean {
    assert(this.#stream !== undefined, "an origin connection has its stream");
    return this.#stream.write(bytes);
  }

  finish(): void {
    this.#stream?.finish();
  }

  consumed(count: number): void {
    if (count > 0) this.#stream?.consumed(count);
  }

  /** Both directions have ended. */
  release(): void {
    this.#stream?.release();
  }

  /** Ends it at once, whatever is under way. */
  reset(code: ResetCode = "cancelled"): void {
    this.#stream?.reset(code);
  }

  onResponse(result: DialResult): void {
    this.listener.onResponse(result);
  }

  onData(bytes: Uint8Array): void {
    this.listener.onData(bytes);
  }

  onFin(): void {
    this.listener.onFin();
  }

  onReset(code: ResetCode): void {
    this.listener.onReset(code);
  }

  onFull(): void {
    this.listener.onFull();
  }

  onWritable(most?: number): void {
    this.listener.onWritable(most);
  }
}
