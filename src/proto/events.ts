import type { Destination, DialResult } from "./destination.ts";
import type { AcceptResult, ResetCode } from "./frames.ts";
import type { Refusal } from "./refusals.ts";

/** What a tunnel tells its shell, in order. */
export type TunnelEvent =
  /** Server: the client wants a connection. Answer with `respond` or `reset`. */
  | { readonly kind: "connect"; readonly stream: number; readonly destination: Destination }
  /** Client: the far connection stands, or why not. After a failure the stream is gone. */
  | { readonly kind: "response"; readonly stream: number; readonly result: DialResult }
  /** Bytes for the application, in order. Call `consumed` once it took them. */
  | { readonly kind: "data"; readonly stream: number; readonly bytes: Uint8Array }
  /** The peer sends no more on this stream. */
  | { readonly kind: "fin"; readonly stream: number }
  /** The stream broke; it is gone. */
  | { readonly kind: "reset"; readonly stream: number; readonly code: ResetCode }
  /** What others hold has filled the pool of bytes kept for sending: as if `write` had returned false. */
  | { readonly kind: "full"; readonly stream: number }
  /**
   * A stream whose `write` returned false, or that was told `full`, takes bytes again: the next `write` should have at
   * most `most` of them, if that is there, for the pool is still full.
   */
  | { readonly kind: "writable"; readonly stream: number; readonly most?: number }
  /** Client: the server took the link of this slot; its streams go on. It keeps them without a link for so long. */
  | {
      readonly kind: "accepted";
      readonly slot: number;
      readonly result: AcceptResult;
      readonly resumeWindowMs?: number;
    }
  /** Client: the server refused, in a sealed frame. */
  | { readonly kind: "refused"; readonly slot: number; readonly refusal: Refusal }
  /** Client: the server's new gate key, 32 bytes. */
  | { readonly kind: "gateKey"; readonly key: Uint8Array }
  /** The peer wants this link replaced soon. */
  | { readonly kind: "goAway"; readonly slot: number }
  /** Client: the link of this slot has served for long enough: dial another beside it. Told once. */
  | { readonly kind: "aged"; readonly slot: number }
  /** The link of this slot has been silent for too long: dial another beside it. */
  | { readonly kind: "suspect"; readonly slot: number }
  /** The link of this slot is given up: close its carrier. */
  | { readonly kind: "dead"; readonly slot: number };

/** First in, first out, without shifting an array for every event. */
export class EventQueue {
  #events: TunnelEvent[] = [];
  #head = 0;

  push(event: TunnelEvent): void {
    this.#events.push(event);
  }

  take(): TunnelEvent | undefined {
    const event = this.#events[this.#head];
    if (event === undefined) {
      if (this.#head > 0) this.#events = [];
      this.#head = 0;
      return undefined;
    }
    this.#head += 1;
    return event;
  }
}
