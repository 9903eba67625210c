import { assert } from "../assert.ts";
import type { Random } from "../random.ts";
import { kdfRoot } from "./kdf.ts";
import { wipe } from "./octets.ts";
import { KEY_BYTES, type Primitives, type X25519KeyPair } from "./primitives/index.ts";

/** A step of the root that a peer's packet asks for, and that happens only once the packet has proven itself. */
export interface ReceivingStep {
  readonly rootKey: Uint8Array;
  readonly chainKey: Uint8Array;
  readonly peerKey: Uint8Array;
}

/**
 * The Diffie-Hellman ratchet (Double Ratchet, section 2.3): all that the two directions share. Steps alternate: after
 * one's own step it is the peer's turn, and only a packet that starts a chain of the peer's gives it back.
 */
export class Root {
  readonly #primitives: Primitives;
  readonly #random: Random;
  #rootKey: Uint8Array;
  #own: X25519KeyPair | undefined;
  #peerKey: Uint8Array | undefined;

  /** Takes `rootKey` and `own` over. The initiator knows the peer's first ratchet key, the responder has it. */
  constructor(
    primitives: Primitives,
    random: Random,
    rootKey: Uint8Array,
    first: { readonly own: X25519KeyPair } | { readonly peerKey: Uint8Array },
  ) {
    this.#primitives = primitives;
    this.#random = random;
    this.#rootKey = rootKey;
    if ("own" in first) this.#own = first.own;
    else this.#peerKey = first.peerKey;
  }

  /** Whether the last step was the peer's. */
  get isOwnTurn(): boolean {
    return this.#peerKey !== undefined;
  }

  /** Makes a new ratchet key pair and starts a sending chain with it. */
  stepToSend(): { readonly ratchetKey: Uint8Array; readonly chainKey: Uint8Array } {
    const peerKey = this.#peerKey;
    assert(peerKey !== undefined, "the ratchet steps to send while it is the peer's turn");
    const own = this.#makeKeyPair();
    const agreement = own.agree(peerKey);
    const { rootKey, chainKey } = kdfRoot(this.#primitives, this.#rootKey, agreement);
    wipe(agreement, this.#rootKey);
    this.#own?.wipe();
    this.#rootKey = rootKey;
    this.#own = own;
    this.#peerKey = undefined;
    return { ratchetKey: own.publicKey, chainKey };
  }

  /** What the peer's new ratchet key leads to; changes nothing. ProtocolError badKey for a point of small order. */
  stepToReceive(peerKey: Uint8Array): ReceivingStep {
    const own = this.#own;
    assert(own !== undefined && !this.isOwnTurn, "the ratchet steps to receive while it is its own turn");
    const agreement = own.agree(peerKey);
    const { rootKey, chainKey } = kdfRoot(this.#primitives, this.#rootKey, agreement);
    wipe(agreement);
    return { rootKey, chainKey, peerKey: new Uint8Array(peerKey) };
  }

  /** Makes a receiving step come true. The own key pair is of no more use: the next step makes a new one. */
  commit(step: ReceivingStep): void {
    wipe(this.#rootKey);
    this.#own?.wipe();
    this.#own = undefined;
    this.#rootKey = step.rootKey;
    this.#peerKey = step.peerKey;
  }

  wipe(): void {
    wipe(this.#rootKey);
    this.#own?.wipe();
  }

  /** Part of SplitRatchet's fingerprint. */
  state(): readonly (Uint8Array | number)[] {
    const none = new Uint8Array(0);
    return [this.#rootKey, this.#own?.publicKey ?? none, this.#peerKey ?? none];
  }

  #makeKeyPair(): X25519KeyPair {
    const secret = this.#random(KEY_BYTES);
    const pair = this.#primitives.x25519KeyPair(secret);
    wipe(secret);
    return pair;
  }
}
