import { TunnelStream } from "../../../src/runtime/tunnel-stream.ts";

/** A stream of a tunnel that only notes what is done to it. */
export class NotedStream extends TunnelStream {
  readonly calls: string[];
  written = "";
  consumedBytes = 0;
  /** What `write` says: whether more may come. */
  takesMore = true;

  constructor() {
    const calls: string[] = [];
    super({ bytesOut: 0, command: () => undefined, forget: () => void calls.push("release") }, 1);
    this.calls = calls;
  }

  override write(bytes: Uint8Array): boolean {
    this.written += Buffer.from(bytes).toString("latin1");
    return this.takesMore;
  }

  override consumed(count: number): void {
    this.consumedBytes += count;
  }

  override finish(): void {
    this.calls.push("finish");
  }

  override reset(): void {
    this.calls.push("reset");
  }
}
