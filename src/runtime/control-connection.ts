import type { Socket } from "bun";
import {
  CONTROL_LIMITS,
  type ControlRequest,
  decodeRequest,
  encodeFailure,
  encodeResult,
  LineCollector,
} from "./control-protocol.ts";
import type { Json } from "./json.ts";
import { SocketWriter } from "./socket-writer.ts";

export type ControlHandler = (request: ControlRequest) => Promise<Json> | Json;

type Phase =
  | { readonly kind: "reading"; readonly collector: LineCollector }
  | { readonly kind: "handling" }
  | { readonly kind: "replying"; readonly writer: SocketWriter }
  | { readonly kind: "over" };

/** One connection to the control socket: a request, its reply, the end. Whatever is not that closes it. */
export class ControlConnection {
  readonly #socket: Socket<unknown>;
  readonly #handle: ControlHandler;
  #phase: Phase = { kind: "reading", collector: new LineCollector(CONTROL_LIMITS.maxRequestBytes) };
  #deadline: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: Socket<unknown>, handle: ControlHandler) {
    this.#socket = socket;
    this.#handle = handle;
    this.#startDeadline();
  }

  received(chunk: Uint8Array): void {
    // One request only: more bytes are garbage.
    if (this.#phase.kind !== "reading") return this.#drop();
    const progress = this.#phase.collector.push(chunk);
    if (progress.kind === "incomplete") return;
    const request = progress.kind === "complete" && !progress.more ? decodeRequest(progress.line) : undefined;
    if (request === undefined) return this.#drop();
    clearTimeout(this.#deadline);
    this.#phase = { kind: "handling" };
    void this.#answer(request);
  }

  async #answer(request: ControlRequest): Promise<void> {
    let reply: Uint8Array;
    try {
      reply = encodeResult(await this.#handle(request));
    } catch (error) {
      reply = encodeFailure(error);
    }
    if (this.#phase.kind !== "handling") return;
    this.#phase = { kind: "replying", writer: new SocketWriter(this.#socket, reply) };
    this.#startDeadline();
    this.drained();
  }

  drained(): void {
    // Half-closed only: were bytes of the other side unread at a close, it could get a reset in place of the reply.
    if (this.#phase.kind === "replying" && this.#phase.writer.write()) this.#socket.shutdown();
  }

  /** The other side sends nothing more. It may still wait for the reply, as `nc -N` does. */
  ended(): void {
    if (this.#phase.kind === "reading") this.#drop();
  }

  closed(): void {
    clearTimeout(this.#deadline);
    this.#phase = { kind: "over" };
  }

  /** Ends a connection that has not made its request yet. */
  dropIfIdle(): void {
    if (this.#phase.kind === "reading") this.#drop();
  }

  #startDeadline(): void {
    this.#deadline = setTimeout(() => this.#drop(), CONTROL_LIMITS.deadlineMs);
  }

  #drop(): void {
    this.closed();
    this.#socket.terminate();
  }
}
