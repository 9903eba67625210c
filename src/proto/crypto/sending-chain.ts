import { ProtocolError } from "../errors.ts";
import { messageKeyOf, nextChainKey } from "./kdf.ts";
import { wipe } from "./octets.ts";
import type { ChainStart } from "./packet.ts";
import type { Primitives } from "./primitives/index.ts";

/** Number and key of one packet. The key seals that packet and is wiped by the caller right after. */
export interface NumberedKey {
  readonly number: number;
  readonly key: Uint8Array;
}

/** The symmetric-key ratchet of one direction, at the sender (Double Ratchet, section 2.2). */
export class SendingChain {
  /** What the chain's first packet tells the peer. */
  readonly start: ChainStart;
  readonly #primitives: Primitives;
  readonly #maxPackets: number;
  #chainKey: Uint8Array;
  #length = 0;

  constructor(primitives: Primitives, chainKey: Uint8Array, start: ChainStart, maxPackets: number) {
    this.#primitives = primitives;
    this.#chainKey = chainKey;
    this.start = start;
    this.#maxPackets = maxPackets;
  }

  /** Packets sealed on this chain so far. */
  get length(): number {
    return this.#length;
  }

  /**
   * Takes the next packet's key and moves on, for good: a packet that could not be sent after all leaves a hole, and a
   * key is never used twice. ProtocolError chainExhausted when no number is left.
   */
  next(): NumberedKey {
    if (this.#length >= this.#maxPackets) throw new ProtocolError("chainExhausted");
    const key = messageKeyOf(this.#primitives, this.#chainKey);
    const following = nextChainKey(this.#primitives, this.#chainKey);
    wipe(this.#chainKey);
    this.#chainKey = following;
    return { number: this.#length++, key };
  }

  wipe(): void {
    wipe(this.#chainKey);
  }

  /** Part of SplitRatchet's fingerprint. */
  state(): readonly (Uint8Array | number)[] {
    return [this.#chainKey, this.#length, this.start.previousLength, this.start.ratchetKey];
  }
}
