import { assert } from "./assert.ts";
import { encodeBundle, type Rotation, randomPadding, signBundle } from "./crypto/bundle.ts";
import type { Identity } from "./crypto/identity.ts";
import { wipe } from "./crypto/octets.ts";
import { decodeOffer } from "./crypto/offer.ts";
import {
  defaultPrimitives,
  edwardsToMontgomery,
  KEY_BYTES,
  type Primitives,
  type Suite,
  type X25519KeyPair,
} from "./crypto/primitives/index.ts";
import { SplitRatchet } from "./crypto/ratchet.ts";
import type { RatchetOptions } from "./crypto/ratchet-options.ts";
import { PROTOCOL_VERSION, SUITE_CODES } from "./crypto/suites.ts";
import * as x3dh from "./crypto/x3dh.ts";
import { ProtocolError } from "./errors.ts";
import type { Random } from "./random.ts";

export interface ServerHandshakeOptions {
  readonly identity: Identity;
  /** The statements that led to this identity, at most 8; none by default. */
  readonly rotations?: readonly Rotation[];
  /** 16 bytes, the same for every link of one server process. */
  readonly boot: Uint8Array;
  /** ML-KEM-768, made for this link by the shell, which keeps the secret half. */
  readonly kemPublicKey: Uint8Array;
  readonly random: Random;
  readonly suites: readonly Suite[];
  readonly primitives?: Primitives;
  readonly ratchet?: Partial<RatchetOptions>;
}

/** A client that has proven its key by a packet that opened. Whether it may come in is the caller's question. */
export interface ProvenClient {
  readonly clientKey: Uint8Array;
  readonly ratchet: SplitRatchet;
  /** Plaintext of packet 0. */
  readonly frames: Uint8Array;
}

interface Agreed {
  readonly kind: "agreed";
  readonly prekey: X25519KeyPair;
  readonly offer: ReturnType<typeof decodeOffer>;
  /** DH2 ‖ DH3. */
  readonly agreements: Uint8Array;
}
type State =
  | { readonly kind: "offering"; readonly prekey: X25519KeyPair }
  | Agreed
  | { readonly kind: "over" };

/**
 * The server's side of one handshake: send `bundle`, `receive` the client's message, decapsulate, `finish`. It is
 * usable once: any failure, and `abandon` at the deadline, wipes its prekey, and nothing outside it has changed by
 * then. The checks come in the order that makes a stranger's message cheapest to refuse.
 */
export class ServerHandshake {
  /** The message that goes out with the 101. */
  readonly bundle: Uint8Array;
  readonly #options: ServerHandshakeOptions;
  readonly #primitives: Primitives;
  #state: State;

  constructor(options: ServerHandshakeOptions) {
    this.#options = options;
    this.#primitives = options.primitives ?? defaultPrimitives;
    const secret = options.random(KEY_BYTES);
    const prekey = this.#primitives.x25519KeyPair(secret);
    wipe(secret);
    const body = encodeBundle({
      versions: [PROTOCOL_VERSION],
      suites: options.suites.map((suite) => SUITE_CODES[suite]).sort((a, b) => a - b),
      boot: options.boot,
      serverKey: options.identity.publicKey,
      rotations: options.rotations ?? [],
      prekey: prekey.publicKey,
      kemPublicKey: options.kemPublicKey,
      padding: randomPadding(options.random),
    });
    this.bundle = signBundle(this.#primitives, options.identity, body);
    this.#state = { kind: "offering", prekey };
  }

  /**
   * The client's message: checks its form and agrees DH2 and DH3. The ciphertext is for the shell to decapsulate.
   * `message` is looked at again by `finish`.
   * ProtocolError malformed, tooLarge, unsupported or badKey.
   */
  receive(message: Uint8Array): { readonly ciphertext: Uint8Array } {
    const state = this.#state;
    assert(state.kind === "offering", "a server handshake receives one message");
    this.#state = { kind: "over" };
    try {
      const offer = decodeOffer(message);
      if (!this.#options.suites.includes(offer.suite)) throw new ProtocolError("unsupported", offer.suite);
      const agreements = this.#agreeEphemeral(state.prekey, offer.ephemeralKey);
      this.#state = { kind: "agreed", prekey: state.prekey, offer, agreements };
      return { ciphertext: offer.ciphertext };
    } catch (error) {
      state.prekey.wipe();
      throw error;
    }
  }

  #agreeEphemeral(prekey: X25519KeyPair, ephemeralKey: Uint8Array): Uint8Array {
    const identity = this.#primitives.x25519KeyPairOfSeed(this.#options.identity.seed);
    try {
      return x3dh.agreeEphemeral({ role: "server", ephemeralKey, identity, prekey });
    } finally {
      identity.wipe();
    }
  }

  /**
   * With the 32 bytes that the ciphertext held: opens the client's identity, agrees DH1 and opens packet 0.
   * ProtocolError badTag, badKey or unexpectedPacket; `sharedSecret` is wiped either way.
   */
  finish(sharedSecret: Uint8Array, now: number): ProvenClient {
    const state = this.#state;
    assert(state.kind === "agreed", "a server handshake finishes once, after it has received");
    this.#state = { kind: "over" };
    try {
      return this.#prove(state, sharedSecret, now);
    } catch (error) {
      state.prekey.wipe();
      throw error;
    } finally {
      wipe(state.agreements, sharedSecret);
    }
  }

  #prove({ offer, agreements, prekey }: Agreed, sharedSecret: Uint8Array, now: number): ProvenClient {
    const p = this.#primitives;
    const th1 = x3dh.bundleTranscript(p, this.#options.identity.publicKey, this.bundle);
    const th2 = x3dh.offerTranscript(p, th1, offer);
    const keys = x3dh.deriveEphemeralKeys(p, agreements, sharedSecret, th2);
    try {
      const clientKey = x3dh.openIdentity(p, offer.suite, keys.boxKey, th2, offer.box);
      if (!p.isPrimeOrderPoint(clientKey)) throw new ProtocolError("badKey", "client identity");
      const transcript = x3dh.identityTranscript(p, th2, clientKey, offer.box);
      const agreement = prekey.agree(edwardsToMontgomery(clientKey));
      const rootKey = x3dh.deriveRootKey(p, keys.chainKey, agreement, transcript);
      wipe(agreement);
      const { random, ratchet: options = {} } = this.#options;
      const start = { primitives: p, suite: offer.suite, random, transcript, rootKey, options };
      return openFirst(SplitRatchet.responder(start, prekey), clientKey, offer.packet, now);
    } finally {
      wipe(keys.boxKey, keys.chainKey);
    }
  }

  /** Wipes what is left, for a peer that did not answer in time. */
  abandon(): void {
    if (this.#state.kind !== "over") this.#state.prekey.wipe();
    if (this.#state.kind === "agreed") wipe(this.#state.agreements);
    this.#state = { kind: "over" };
  }
}

/** Opens packet 0: only the holder of the client's secret key could seal it. */
function openFirst(
  ratchet: SplitRatchet,
  clientKey: Uint8Array,
  packet: Uint8Array,
  now: number,
): ProvenClient {
  try {
    return { clientKey, ratchet, frames: ratchet.open(packet, undefined, now).frames };
  } catch (error) {
    ratchet.wipe();
    throw error;
  }
}
