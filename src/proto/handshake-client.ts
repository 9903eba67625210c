import { assert } from "./assert.ts";
import { type Bundle, openBundle } from "./crypto/bundle.ts";
import type { Identity } from "./crypto/identity.ts";
import { checkLength, equalBytes, wipe } from "./crypto/octets.ts";
import { encodeOffer } from "./crypto/offer.ts";
import {
  defaultPrimitives,
  type Encapsulation,
  KEY_BYTES,
  type Primitives,
  type Suite,
} from "./crypto/primitives/index.ts";
import { SplitRatchet } from "./crypto/ratchet.ts";
import type { RatchetOptions } from "./crypto/ratchet-options.ts";
import { followRotations, type Successor } from "./crypto/rotation.ts";
import { PROTOCOL_VERSION, SUITE_CODES } from "./crypto/suites.ts";
import * as x3dh from "./crypto/x3dh.ts";
import { ProtocolError } from "./errors.ts";
import type { Random } from "./random.ts";

export interface ClientHandshakeOptions {
  readonly identity: Identity;
  /** The server's identity as the client has it pinned: 32 bytes. */
  readonly serverKey: Uint8Array;
  /** The rotation that led to this key; 0, which is the default, if none is known. */
  readonly sequence?: number;
  readonly random: Random;
  /** In order of preference. */
  readonly suites: readonly Suite[];
  readonly primitives?: Primitives;
  readonly ratchet?: Partial<RatchetOptions>;
}

/** What the server offers, as far as the shell needs it. */
export interface ServerOffer {
  /** For the shell to encapsulate to. */
  readonly kemPublicKey: Uint8Array;
  /** 16 bytes; another value than on the last link means that the server was started anew. */
  readonly boot: Uint8Array;
  /** The server's new identity, shown to follow the pinned one: to be pinned once the server has accepted the link. */
  readonly successor?: Successor;
}

/** A link's ratchet; the client's message is `prefix` ‖ the lead of its first packet, which has no body. */
export interface ClientStart {
  readonly ratchet: SplitRatchet;
  readonly prefix: Uint8Array;
}

interface Offered {
  readonly kind: "offered";
  readonly bundle: Bundle;
  readonly suite: Suite;
  readonly th1: Uint8Array;
}
type State = { readonly kind: "waiting" } | Offered | { readonly kind: "over" };

/** The client's side of one handshake: `receive` the bundle, encapsulate, `finish`. Usable once. */
export class ClientHandshake {
  readonly #options: ClientHandshakeOptions;
  readonly #primitives: Primitives;
  #state: State = { kind: "waiting" };

  constructor(options: ClientHandshakeOptions) {
    checkLength("serverKey", options.serverKey, KEY_BYTES);
    this.#options = options;
    this.#primitives = options.primitives ?? defaultPrimitives;
  }

  /**
   * The server's bundle. ProtocolError tooLarge, malformed, notCanonical, badSignature or unsupported; wrongIdentity
   * only if the bundle is sound and of another identity, to which its rotations do not lead from the pinned one: garbage
   * must not look like somebody else's server, for that ends a client.
   */
  receive(message: Uint8Array): ServerOffer {
    assert(this.#state.kind === "waiting", "a client handshake receives one message");
    this.#state = { kind: "over" };
    const bundle = openBundle(this.#primitives, message);
    const successor = this.#successor(bundle);
    if (!bundle.versions.includes(PROTOCOL_VERSION)) throw new ProtocolError("unsupported", "version");
    const suite = this.#options.suites.find((each) => bundle.suites.includes(SUITE_CODES[each]));
    if (suite === undefined) throw new ProtocolError("unsupported", "suite");
    const th1 = x3dh.bundleTranscript(this.#primitives, bundle.serverKey, message);
    this.#state = { kind: "offered", bundle, suite, th1 };
    const { kemPublicKey, boot } = bundle;
    return { kemPublicKey, boot, ...(successor === undefined ? {} : { successor }) };
  }

  #successor({ serverKey, rotations }: Bundle): Successor | undefined {
    const { serverKey: key, sequence = 0 } = this.#options;
    if (equalBytes(serverKey, key)) return undefined;
    const successor = followRotations({ key, sequence }, rotations, serverKey, this.#primitives);
    if (typeof successor === "string") throw new ProtocolError("wrongIdentity", successor);
    return successor;
  }

  /**
   * With what was encapsulated to `kemPublicKey`: 1088 and 32 bytes; the secret is wiped. ProtocolError badKey if the
   * server's prekey is a point of small order.
   */
  finish(kem: Encapsulation, now: number): ClientStart {
    const state = this.#state;
    assert(state.kind === "offered", "a client handshake finishes once, after it has received");
    this.#state = { kind: "over" };
    try {
      return this.#start(state, kem, now);
    } finally {
      wipe(kem.sharedSecret);
    }
  }

  #start({ bundle, suite, th1 }: Offered, kem: Encapsulation, now: number): ClientStart {
    const p = this.#primitives;
    const { ephemeralKey, agreements } = this.#agreeEphemeral(bundle);
    const th2 = x3dh.offerTranscript(p, th1, { suite, ephemeralKey, ciphertext: kem.ciphertext });
    const keys = x3dh.deriveEphemeralKeys(p, agreements, kem.sharedSecret, th2);
    const clientKey = this.#options.identity.publicKey;
    const box = x3dh.sealIdentity(p, suite, keys.boxKey, th2, clientKey);
    const transcript = x3dh.identityTranscript(p, th2, clientKey, box);
    const agreement = this.#agreeIdentity(bundle.prekey);
    const rootKey = x3dh.deriveRootKey(p, keys.chainKey, agreement, transcript);
    wipe(agreements, keys.boxKey, keys.chainKey, agreement);
    const { random, ratchet: options = {} } = this.#options;
    const start = { primitives: p, suite, random, transcript, rootKey, options };
    return {
      ratchet: SplitRatchet.initiator(start, bundle.prekey, now),
      prefix: encodeOffer({ suite, ephemeralKey, ciphertext: kem.ciphertext, box }),
    };
  }

  #agreeEphemeral({ serverKey, prekey }: Bundle): { ephemeralKey: Uint8Array; agreements: Uint8Array } {
    const secret = this.#options.random(KEY_BYTES);
    const ephemeral = this.#primitives.x25519KeyPair(secret);
    wipe(secret);
    try {
      const agreements = x3dh.agreeEphemeral({ role: "client", ephemeral, serverKey, prekey });
      return { ephemeralKey: ephemeral.publicKey, agreements };
    } finally {
      ephemeral.wipe();
    }
  }

  /** DH1 = X(IK_C, SPK). */
  #agreeIdentity(prekey: Uint8Array): Uint8Array {
    const identity = this.#primitives.x25519KeyPairOfSeed(this.#options.identity.seed);
    try {
      return identity.agree(prekey);
    } finally {
      identity.wipe();
    }
  }
}
