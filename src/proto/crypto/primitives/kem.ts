import { subtle } from "node:crypto";
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { assert } from "../../assert.ts";
import { ProtocolError } from "../../errors.ts";
import type { Random } from "../../random.ts";
import { checkLength, wipe } from "../octets.ts";

export const KEM_PUBLIC_KEY_BYTES = 1184;
export const KEM_CIPHERTEXT_BYTES = 1088;
const SEED_BYTES = 64;
const MESSAGE_BYTES = 32;

/** The secret half of a KEM key pair, with its public half. */
export interface KemKeyPair {
  /** 1184 bytes. */
  readonly publicKey: Uint8Array;
  /**
   * The 32 bytes that a ciphertext of 1088 holds. A forged ciphertext gives 32 other bytes (implicit rejection, FIPS 203
   * section 6.3), so that only the next AEAD operation fails.
   */
  decapsulate(ciphertext: Uint8Array): Promise<Uint8Array>;
}

export interface Encapsulation {
  readonly ciphertext: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/**
 * ML-KEM-768 (FIPS 203) as a port of the handshake's shell: Bun has it natively in WebCrypto only, where everything is
 * asynchronous, and 25 times as fast as noble.
 */
export interface Kem {
  generateKeyPair(): Promise<KemKeyPair>;
  /** ProtocolError badKey if the peer's key fails the checks of FIPS 203 section 7.2. */
  encapsulate(publicKey: Uint8Array): Promise<Encapsulation>;
}

const ML_KEM_768 = { name: "ML-KEM-768" };

/** WebCrypto's, with the randomness of BoringSSL. */
export const nativeKem: Kem = {
  async generateKeyPair() {
    const pair = await subtle.generateKey(ML_KEM_768, true, ["encapsulateBits", "decapsulateBits"]);
    assert("privateKey" in pair, "ML-KEM makes key pairs");
    return {
      publicKey: new Uint8Array(await subtle.exportKey("raw-public", pair.publicKey)),
      async decapsulate(ciphertext) {
        checkLength("ciphertext", ciphertext, KEM_CIPHERTEXT_BYTES);
        const input = new Uint8Array(ciphertext);
        return new Uint8Array(await subtle.decapsulateBits(ML_KEM_768, pair.privateKey, input));
      },
    };
  },

  async encapsulate(publicKey) {
    checkLength("publicKey", publicKey, KEM_PUBLIC_KEY_BYTES);
    const key = await subtle
      .importKey("raw-public", new Uint8Array(publicKey), ML_KEM_768, false, ["encapsulateBits"])
      .catch((cause: unknown) => {
        throw new ProtocolError("badKey", "ML-KEM public key", cause);
      });
    const { ciphertext, sharedKey } = await subtle.encapsulateBits(ML_KEM_768, key);
    return { ciphertext: new Uint8Array(ciphertext), sharedSecret: new Uint8Array(sharedKey) };
  },
};

/** noble's, synchronous: the oracle, and what vectors are made with. Seeds are 64 bytes, messages 32. */
export const portableMlKem = {
  keyPair(seed: Uint8Array): { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array } {
    checkLength("seed", seed, SEED_BYTES);
    return ml_kem768.keygen(seed);
  },

  encapsulate(publicKey: Uint8Array, message: Uint8Array): Encapsulation {
    checkLength("publicKey", publicKey, KEM_PUBLIC_KEY_BYTES);
    checkLength("message", message, MESSAGE_BYTES);
    try {
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, message);
      return { ciphertext: cipherText, sharedSecret };
    } catch (cause) {
      throw new ProtocolError("badKey", "ML-KEM public key", cause);
    }
  },

  decapsulate(ciphertext: Uint8Array, secretKey: Uint8Array): Uint8Array {
    checkLength("ciphertext", ciphertext, KEM_CIPHERTEXT_BYTES);
    return ml_kem768.decapsulate(ciphertext, secretKey);
  },
};

/** noble's behind the port. */
export function portableKem(random: Random): Kem {
  return {
    async generateKeyPair() {
      const seed = random(SEED_BYTES);
      const { publicKey, secretKey } = portableMlKem.keyPair(seed);
      wipe(seed);
      return {
        publicKey,
        decapsulate: async (ciphertext) => portableMlKem.decapsulate(ciphertext, secretKey),
      };
    },
    encapsulate: async (publicKey) => portableMlKem.encapsulate(publicKey, random(MESSAGE_BYTES)),
  };
}
