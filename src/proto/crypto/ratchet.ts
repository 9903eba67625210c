import { assert } from "../assert.ts";
import { ProtocolError } from "../errors.ts";
import type { Random } from "../random.ts";
import { checkLength, concatBytes, equalBytes, wipe } from "./octets.ts";
import {
  bodyFollows,
  type ChainStart,
  type OpenedPacket,
  type Packet,
  PacketCipher,
  type PacketHeader,
  readHeader,
} from "./packet.ts";
import { KEY_BYTES, type Primitives, type Suite, type X25519KeyPair } from "./primitives/index.ts";
import { LINK_RATCHET, type RatchetOptions } from "./ratchet-options.ts";
import { type ChainAdvance, ReceivingChain } from "./receiving-chain.ts";
import { Root } from "./root.ts";
import { type NumberedKey, SendingChain } from "./sending-chain.ts";
import { SkippedKeys } from "./skipped-keys.ts";
import { StepPolicy } from "./step-policy.ts";

// The journey of a packet: `seal` steps the root when that is due (root.ts, step-policy.ts), takes a key from the
// sending chain (sending-chain.ts) and encrypts (packet.ts). `open` finds the key on copies of the receiving side
// (receiving-chain.ts, skipped-keys.ts, root.ts), decrypts, and only then lets the copies become the state.

/** What both sides of a ratchet begin with. */
export interface RatchetStart {
  readonly primitives: Primitives;
  readonly suite: Suite;
  readonly random: Random;
  /** th of the handshake, 32 bytes: in the associated data of every packet. */
  readonly transcript: Uint8Array;
  /** RK0, 32 bytes; the ratchet takes it over and wipes it. */
  readonly rootKey: Uint8Array;
  readonly options?: Partial<RatchetOptions>;
}

/** The key that may open a packet, and what becomes of the state if it does or does not. */
interface OpenAttempt {
  readonly key: Uint8Array;
  readonly accept: () => void;
  readonly discard: () => void;
}

/**
 * The Double Ratchet of one link: a sending and a receiving chain that share nothing but the root. The initiator (the
 * client) seals first; the responder steps at once, in its first packet. `now` is in milliseconds of any clock that
 * does not go back.
 */
export class SplitRatchet {
  readonly #options: RatchetOptions;
  readonly #primitives: Primitives;
  readonly #cipher: PacketCipher;
  readonly #root: Root;
  readonly #policy: StepPolicy;
  readonly #skipped: SkippedKeys;
  #sending: SendingChain | undefined;
  #receiving: ReceivingChain | undefined;
  #isWiped = false;

  private constructor(start: RatchetStart, root: Root) {
    checkLength("transcript", start.transcript, KEY_BYTES);
    this.#options = { ...LINK_RATCHET, ...start.options };
    this.#primitives = start.primitives;
    this.#cipher = new PacketCipher(start.primitives, start.suite, start.transcript);
    this.#root = root;
    this.#policy = new StepPolicy(this.#options);
    this.#skipped = new SkippedKeys(this.#options.maxSkippedKeys);
  }

  /**
   * The side that seals first, and so takes the first step at once; `peerKey` is the responder's first ratchet key
   * (RatchetInitAlice, section 3.3). ProtocolError badKey if that is a point of small order.
   */
  static initiator(start: RatchetStart, peerKey: Uint8Array, now: number): SplitRatchet {
    checkLength("rootKey", start.rootKey, KEY_BYTES);
    checkLength("peerKey", peerKey, KEY_BYTES);
    const first = { peerKey: new Uint8Array(peerKey) };
    const ratchet = new SplitRatchet(start, new Root(start.primitives, start.random, start.rootKey, first));
    ratchet.#stepToSend(now);
    return ratchet;
  }

  /** The side that opens first; `own`, its first ratchet key pair, is taken over (RatchetInitBob, section 3.3). */
  static responder(start: RatchetStart, own: X25519KeyPair): SplitRatchet {
    checkLength("rootKey", start.rootKey, KEY_BYTES);
    return new SplitRatchet(start, new Root(start.primitives, start.random, start.rootKey, { own }));
  }

  /** Whether a message is a lead with a body behind it: a look at the flags. ProtocolError malformed if it is none. */
  static bodyFollows(lead: Uint8Array): boolean {
    return bodyFollows(lead);
  }

  /**
   * One packet of `frames`, and of `chunk` as its body. Nothing of it is rolled back: a packet that cannot be sent ends
   * the link. ProtocolError chainExhausted.
   */
  seal(frames: Uint8Array, chunk: Uint8Array | undefined, now: number): Packet {
    assert(!this.#isWiped, "the ratchet is used after wipe");
    assert(chunk === undefined || chunk.length > 0, "a body is never empty");
    if (this.#root.isOwnTurn && this.#policy.isDue(now)) this.#stepToSend(now);
    const chain = this.#sending;
    assert(chain !== undefined, "the responder seals before it has opened a packet");
    const { number, key } = chain.next();
    const saysChain = number === 0 || this.#options.maxSkip > 0;
    const header = { bodyFollows: chunk !== undefined, number, start: saysChain ? chain.start : undefined };
    try {
      return this.#cipher.seal(header, key, frames, chunk);
    } finally {
      wipe(key);
      this.#policy.count(frames.length + (chunk?.length ?? 0));
    }
  }

  #stepToSend(now: number): void {
    const { ratchetKey, chainKey } = this.#root.stepToSend();
    const previousLength = this.#sending?.length ?? 0;
    this.#sending?.wipe();
    const start = { previousLength, ratchetKey };
    this.#sending = new SendingChain(this.#primitives, chainKey, start, this.#options.maxPackets);
    this.#policy.stepped(now);
  }

  /**
   * The frames and chunk of one packet, `body` given exactly if `bodyFollows` said so. Anything but the packet that the
   * peer sealed, in its place in the order, is a ProtocolError and changes no state.
   */
  open(lead: Uint8Array, body: Uint8Array | undefined, now: number): OpenedPacket {
    assert(!this.#isWiped, "the ratchet is used after wipe");
    const header = readHeader(lead);
    assert(
      header.bodyFollows === (body !== undefined),
      "a packet is opened with the body its lead announces",
    );
    if (body?.length === 0) throw new ProtocolError("malformed", "an empty body");
    const attempt = this.#attempt(header, now);
    const opened = this.#tryOpen(attempt, header, lead, body);
    attempt.accept();
    wipe(attempt.key);
    this.#policy.count(opened.frames.length + (opened.chunk?.length ?? 0));
    return opened;
  }

  #tryOpen(
    attempt: OpenAttempt,
    header: PacketHeader,
    lead: Uint8Array,
    body: Uint8Array | undefined,
  ): OpenedPacket {
    try {
      return this.#cipher.open(header, attempt.key, lead, body);
    } catch (error) {
      attempt.discard();
      throw error;
    }
  }

  #attempt(header: PacketHeader, now: number): OpenAttempt {
    const { start, number } = header;
    const chain = this.#receiving;
    const ratchetKey = start?.ratchetKey ?? chain?.ratchetKey;
    if (ratchetKey === undefined)
      throw new ProtocolError("unexpectedPacket", "the first one starts no chain");
    const late = this.#skipped.find(ratchetKey, number);
    if (late !== undefined) {
      return { key: late, accept: () => this.#skipped.forget(ratchetKey, number), discard: () => {} };
    }
    if (start !== undefined && number > 0 && this.#options.maxSkip === 0) {
      throw new ProtocolError("unexpectedPacket", `${number} starts a chain`);
    }
    if (chain !== undefined && equalBytes(ratchetKey, chain.ratchetKey)) {
      return this.#attemptOnChain(chain, number, now);
    }
    assert(start !== undefined, "a header without a ratchet key belongs to the present chain");
    return this.#attemptNewChain(start, number);
  }

  #attemptOnChain(chain: ReceivingChain, number: number, now: number): OpenAttempt {
    if (!this.#root.isOwnTurn && this.#policy.isOverdue(now)) throw new ProtocolError("overdueStep");
    const advance = chain.advanceTo(number);
    return {
      key: advance.messageKey,
      accept: () => {
        chain.commit(advance);
        this.#skipped.keep(chain.ratchetKey, advance.skipped);
      },
      discard: () => wipeAdvance(advance),
    };
  }

  #attemptNewChain(start: ChainStart, number: number): OpenAttempt {
    if (this.#root.isOwnTurn) throw new ProtocolError("unexpectedPacket", "a new chain out of turn");
    const ended = this.#receiving;
    const tail = this.#tailOfChain(start.previousLength);
    const step = this.#root.stepToReceive(start.ratchetKey);
    const chain = new ReceivingChain(this.#primitives, step.chainKey, step.peerKey, this.#options);
    const advance = chain.advanceTo(number);
    return {
      key: advance.messageKey,
      accept: () => {
        if (ended !== undefined) this.#skipped.keep(ended.ratchetKey, tail);
        ended?.wipe();
        chain.commit(advance);
        this.#skipped.keep(chain.ratchetKey, advance.skipped);
        this.#receiving = chain;
        this.#root.commit(step);
      },
      discard: () => {
        wipe(step.rootKey, step.chainKey, ...tail.map(({ key }) => key));
        wipeAdvance(advance);
      },
    };
  }

  /** Keys still missing of the peer's chain that ends after `length` packets. */
  #tailOfChain(length: number): readonly NumberedKey[] {
    if (this.#receiving !== undefined) return this.#receiving.tail(length);
    if (length > 0) throw new ProtocolError("unexpectedPacket", "the first chain follows another one");
    return [];
  }

  /** Forgets all keys. The ratchet is of no use after it. */
  wipe(): void {
    this.#isWiped = true;
    this.#root.wipe();
    this.#sending?.wipe();
    this.#receiving?.wipe();
    this.#skipped.wipe();
  }

  /**
   * A hash of the whole state, secrets included: equal before and after exactly if nothing changed. For tests and
   * simulators, which compare it around forged packets; nothing else has a use for it.
   */
  fingerprint(): Uint8Array {
    const { sha256 } = this.#primitives;
    const parts = [this.#root, this.#policy, this.#skipped, this.#sending, this.#receiving].map((part) =>
      sha256(new TextEncoder().encode(JSON.stringify(part?.state().map(toText) ?? null))),
    );
    return sha256(concatBytes(...parts));
  }
}

function toText(value: Uint8Array | number): string {
  return typeof value === "number" ? String(value) : value.toHex();
}

function wipeAdvance(advance: ChainAdvance): void {
  wipe(advance.messageKey, advance.chainKey, ...advance.skipped.map(({ key }) => key));
}
