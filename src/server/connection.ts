import {
  handshakePadding,
  type KemKeyPair,
  LIMITS,
  Link,
  type PaddingPolicy,
  ProtocolError,
  type Random,
  REFUSALS,
  type Refusal,
  ServerHandshake,
} from "../proto/index.ts";
import type { Carrier } from "../runtime/carrier.ts";
import { messageOf } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import type { TunnelDriver } from "../runtime/tunnel-driver.ts";
import type { TunnelRegistry } from "./registry.ts";
import type { ServerStore } from "./store.ts";

export interface ConnectionOptions {
  readonly store: ServerStore;
  readonly registry: TunnelRegistry;
  readonly boot: Uint8Array;
  /** Generation of the gate key that its token was made with. */
  readonly gateGeneration: number | undefined;
  readonly kem: KemKeyPair;
  readonly random: Random;
  readonly padding: PaddingPolicy;
  readonly log: Log;
  /** It has become a link, or is over: it no longer counts among the unproven. */
  readonly onSettled: () => void;
  /** Packet 0 opened, under the key of a client that may come in. */
  readonly onAdmitted: () => void;
}

const NO_UNITS = { body: false, units: [], appLimited: true } as const;

/** How far a WebSocket is on its way to being a link. `proving`: the KEM step of its one message is under way. */
type Stage =
  | { readonly kind: "fresh"; readonly handshake: ServerHandshake }
  | { readonly kind: "proving"; readonly handshake: ServerHandshake }
  | { readonly kind: "linked"; readonly link: Link; readonly driver: TunnelDriver }
  | { readonly kind: "over" };

/**
 * One WebSocket of a client, from the bundle to its tunnel. Until packet 0 has opened, which proves the client's key,
 * nothing is looked up or kept, and every failure looks alike: silence, and a close at the deadline.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  #stage: Stage;
  #carrier: Carrier | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  /** Messages that arrived during the KEM step: early data behind packet 0. */
  readonly #early: Uint8Array[] = [];
  #earlyBytes = 0;

  constructor(options: ConnectionOptions) {
    const { store, boot, kem, random } = options;
    this.#options = options;
    const handshake = new ServerHandshake({
      identity: store.identity,
      rotations: store.keys.rotations,
      boot,
      kemPublicKey: kem.publicKey,
      random,
      suites: ["aes-256-gcm", "chacha20-poly1305"],
    });
    this.#stage = { kind: "fresh", handshake };
  }

  /** The WebSocket stands: sends the bundle in the same flight. */
  opened(carrier: Carrier): void {
    this.#carrier = carrier;
    this.#deadline = setTimeout(() => this.end(), LIMITS.handshakeDeadlineMs);
    if (this.#stage.kind === "fresh") carrier.send(this.#stage.handshake.bundle);
  }

  message(message: Uint8Array): void {
    switch (this.#stage.kind) {
      case "linked":
        return this.#stage.driver.receive(this.#stage.link, message);
      case "fresh":
        void this.#prove(this.#stage.handshake, message);
        return;
      case "proving":
        this.#early.push(message);
        this.#earlyBytes += message.length;
        if (this.#isTooEarly) this.#fallSilent();
        return;
      case "over":
        return;
    }
  }

  // Packet 0 is not among them.
  get #isTooEarly(): boolean {
    const { maxMessagesBeforeAccept, maxBytesBeforeAccept } = LIMITS;
    return this.#early.length > maxMessagesBeforeAccept || this.#earlyBytes > maxBytesBeforeAccept;
  }

  /** Messages of text are no part of the protocol. */
  text(): void {
    if (this.#stage.kind === "linked") this.end();
    else this.#fallSilent();
  }

  // Nothing is said and nothing changes: the deadline closes the connection, as for one that stays silent.
  #fallSilent(): void {
    const stage = this.#stage;
    if (stage.kind === "fresh" || stage.kind === "proving") stage.handshake.abandon();
    this.#stage = { kind: "over" };
    this.#early.length = 0;
  }

  closed(reason: string): void {
    clearTimeout(this.#deadline);
    this.#options.onSettled();
    const stage = this.#stage;
    this.#stage = { kind: "over" };
    if (stage.kind === "fresh" || stage.kind === "proving") stage.handshake.abandon();
    if (stage.kind === "linked") stage.driver.lose(stage.link, reason);
  }

  async #prove(handshake: ServerHandshake, message: Uint8Array): Promise<void> {
    this.#stage = { kind: "proving", handshake };
    try {
      const { ciphertext } = handshake.receive(message);
      const sharedSecret = await this.#options.kem.decapsulate(ciphertext);
      if (this.#stage.kind !== "proving") return;
      this.#admit(handshake.finish(sharedSecret, performance.now()));
    } catch (error) {
      const { log } = this.#options;
      if (!(error instanceof ProtocolError)) log.error("handshake failed", { reason: messageOf(error) });
      else log.debug("handshake failed", { reason: messageOf(error) });
      this.#fallSilent();
    }
  }

  #admit({ clientKey, ratchet, frames: plaintext }: ReturnType<ServerHandshake["finish"]>): void {
    const { store, registry, padding, random, log } = this.#options;
    const carrier = this.#carrier;
    if (carrier === undefined) return this.end();
    const now = performance.now();
    const jitter = (random(1)[0] ?? 0) / 256;
    const { hello, rest, link } = Link.ofFirstPacket({ ratchet, plaintext, padding, jitter, now });
    const admission = store.admit(clientKey, hello.join, this.#options.gateGeneration);
    if (admission.kind === "refused") {
      if (admission.cause !== undefined)
        log.error("a join was not kept", { reason: admission.cause.message });
      return this.#refuse(link, carrier, admission.refusal);
    }
    this.#options.onAdmitted();
    if (admission.joined) log.info("client joined", { client: admission.name });
    const taken = registry.take({ name: admission.name, clientKey, link, carrier, hello, rest });
    if (taken.kind === "refused") return this.#refuse(link, carrier, taken.refusal, admission.name);
    clearTimeout(this.#deadline);
    this.#options.onSettled();
    this.#stage = { kind: "linked", link, driver: taken.driver };
    for (const message of this.#early.splice(0)) taken.driver.receive(link, message);
  }

  // The client is who it says, so it is told; the close follows behind the packet.
  #refuse(link: Link, carrier: Carrier, refusal: Refusal, client?: string): void {
    const who = client === undefined ? {} : { client };
    this.#options.log.info("client refused", { ...who, reason: REFUSALS[refusal].sentence });
    const extraPadding = handshakePadding(this.#options.random);
    const { lead } = link.seal(
      [{ type: "refuse", refusal }],
      { ...NO_UNITS, extraPadding },
      performance.now(),
    );
    carrier.send(lead);
    this.end();
  }

  /** Closes the WebSocket without a word. */
  end(): void {
    this.closed("refused");
    this.#carrier?.close();
  }
}
