import { ProtocolError } from "../errors.ts";
import { messageKeyOf, nextChainKey } from "./kdf.ts";
import { wipe } from "./octets.ts";
import type { Primitives } from "./primitives/index.ts";
import type { NumberedKey } from "./sending-chain.ts";

/** How far a receiving chain may go. */
export interface ChainLimits {
  /** Packets that may be missing before the one that arrives. */
  readonly maxSkip: number;
  /** Packets of one chain. */
  readonly maxPackets: number;
}

/** A move of a chain that has not happened yet: it does only once the packet has proven itself. */
export interface ChainAdvance {
  readonly messageKey: Uint8Array;
  readonly chainKey: Uint8Array;
  readonly next: number;
  /** Keys of the packets passed over. */
  readonly skipped: readonly NumberedKey[];
}

/** The symmetric-key ratchet of one direction, at the receiver (Double Ratchet, sections 2.2 and 2.6). */
export class ReceivingChain {
  /** The peer's ratchet public key that this chain came from. */
  readonly ratchetKey: Uint8Array;
  readonly #primitives: Primitives;
  readonly #limits: ChainLimits;
  #chainKey: Uint8Array;
  #next = 0;

  constructor(primitives: Primitives, chainKey: Uint8Array, ratchetKey: Uint8Array, limits: ChainLimits) {
    this.#primitives = primitives;
    this.#chainKey = chainKey;
    this.ratchetKey = ratchetKey;
    this.#limits = limits;
  }

  /**
   * The keys up to packet `number`, without changing the chain. ProtocolError unexpectedPacket if the packet was passed
   * before or is further ahead than `maxSkip`.
   */
  advanceTo(number: number): ChainAdvance {
    if (number >= this.#limits.maxPackets) throw new ProtocolError("chainExhausted");
    const { skipped, chainKey } = this.#skipTo(number);
    const messageKey = messageKeyOf(this.#primitives, chainKey);
    const following = nextChainKey(this.#primitives, chainKey);
    if (chainKey !== this.#chainKey) wipe(chainKey);
    return { messageKey, chainKey: following, next: number + 1, skipped };
  }

  /** Keys of the packets still missing of a chain of `length` packets: the chain ends here. Changes nothing. */
  tail(length: number): readonly NumberedKey[] {
    const { skipped, chainKey } = this.#skipTo(length);
    if (chainKey !== this.#chainKey) wipe(chainKey);
    return skipped;
  }

  #skipTo(number: number): { skipped: readonly NumberedKey[]; chainKey: Uint8Array } {
    const missing = number - this.#next;
    if (missing < 0 || missing > this.#limits.maxSkip) {
      throw new ProtocolError("unexpectedPacket", `${number} instead of ${this.#next}`);
    }
    const skipped: NumberedKey[] = [];
    let chainKey = this.#chainKey;
    for (let passed = this.#next; passed < number; passed++) {
      skipped.push({ number: passed, key: messageKeyOf(this.#primitives, chainKey) });
      const following = nextChainKey(this.#primitives, chainKey);
      if (chainKey !== this.#chainKey) wipe(chainKey);
      chainKey = following;
    }
    return { skipped, chainKey };
  }

  /** Makes an advance come true. */
  commit(advance: ChainAdvance): void {
    wipe(this.#chainKey);
    this.#chainKey = advance.chainKey;
    this.#next = advance.next;
  }

  wipe(): void {
    wipe(this.#chainKey);
  }

  /** Part of SplitRatchet's fingerprint. */
  state(): readonly (Uint8Array | number)[] {
    return [this.#chainKey, this.#next, this.ratchetKey];
  }
}
