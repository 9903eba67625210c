import { ClientHandshake, type Identity, Link, ServerHandshake } from "../../src/proto/index.ts";
import type { Dice } from "./dice.ts";

const KEM_PUBLIC_KEY_BYTES = 1184;
const KEM_CIPHERTEXT_BYTES = 1088;
const SECRET_BYTES = 32;
const SUITES = ["aes-256-gcm"] as const;

/** In place of ML-KEM, which is asynchronous: right in shape, worth nothing as a secret. */
export const toyKem = {
  publicKey(dice: Dice): Uint8Array {
    const key = new Uint8Array(KEM_PUBLIC_KEY_BYTES);
    key.set(dice.random(SECRET_BYTES));
    return key;
  },

  encapsulate(dice: Dice, publicKey: Uint8Array): { ciphertext: Uint8Array; sharedSecret: Uint8Array } {
    const ciphertext = new Uint8Array(KEM_CIPHERTEXT_BYTES);
    ciphertext.set(dice.random(SECRET_BYTES));
    return { ciphertext, sharedSecret: toyKem.decapsulate(publicKey, ciphertext) };
  },

  decapsulate(publicKey: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    return ciphertext.slice(0, SECRET_BYTES).map((byte, at) => byte ^ (publicKey[at] ?? 0));
  },
};

/** The server's side of one wire, up to the client's first packet. */
export class SimServerHandshake {
  readonly #handshake: ServerHandshake;
  readonly #kemPublicKey: Uint8Array;
  readonly #dice: Dice;

  constructor(dice: Dice, identity: Identity, boot: Uint8Array) {
    this.#dice = dice;
    this.#kemPublicKey = toyKem.publicKey(dice);
    const { random } = dice;
    this.#handshake = new ServerHandshake({
      identity,
      boot,
      kemPublicKey: this.#kemPublicKey,
      random,
      suites: SUITES,
    });
  }

  get bundle(): Uint8Array {
    return this.#handshake.bundle;
  }

  /** @throws ProtocolError */
  finish(message: Uint8Array, now: number) {
    const { ciphertext } = this.#handshake.receive(message);
    const proven = this.#handshake.finish(toyKem.decapsulate(this.#kemPublicKey, ciphertext), now);
    const { ratchet, frames: plaintext, clientKey } = proven;
    const jitter = this.#dice.unit();
    return { clientKey, ...Link.ofFirstPacket({ ratchet, plaintext, padding: "padme", jitter, now }) };
  }
}

export interface OfferedLink {
  readonly link: Link;
  /** Goes in front of the first lead. */
  readonly prefix: Uint8Array;
  readonly boot: Uint8Array;
}

/** The client's side: from the server's bundle to a link. @throws ProtocolError */
export function answerBundle(
  dice: Dice,
  identity: Identity,
  serverKey: Uint8Array,
  bundle: Uint8Array,
  link: { readonly slot: number; readonly gen: number; readonly now: number },
): OfferedLink {
  const handshake = new ClientHandshake({ identity, serverKey, random: dice.random, suites: SUITES });
  const { kemPublicKey, boot } = handshake.receive(bundle);
  const { ratchet, prefix } = handshake.finish(toyKem.encapsulate(dice, kemPublicKey), link.now);
  return { link: new Link({ ...link, ratchet, padding: "padme", jitter: dice.unit() }), prefix, boot };
}
