import { wipe } from "../../../src/proto/crypto/octets.ts";
import {
  defaultPrimitives,
  type Primitives,
  type Suite,
  type X25519KeyPair,
} from "../../../src/proto/crypto/primitives/index.ts";
import { type RatchetStart, SplitRatchet } from "../../../src/proto/crypto/ratchet.ts";
import type { RatchetOptions } from "../../../src/proto/crypto/ratchet-options.ts";
import type { Random } from "../../../src/proto/random.ts";
import { repeated } from "./bytes.ts";

export interface RatchetPair {
  readonly client: SplitRatchet;
  readonly server: SplitRatchet;
}

/** Two ratchets as a handshake would leave them, before any packet. */
export function ratchetPair(
  random: Random,
  options: Partial<RatchetOptions> = {},
  primitives: Primitives = defaultPrimitives,
  suite: Suite = "aes-256-gcm",
): RatchetPair {
  const secret = random(32);
  const prekey = primitives.x25519KeyPair(secret);
  wipe(secret);
  const start = (): RatchetStart => ({
    primitives,
    suite,
    random,
    transcript: repeated(0x74, 32),
    rootKey: repeated(0x52, 32),
    options,
  });
  return {
    client: SplitRatchet.initiator(start(), prekey.publicKey, 0),
    server: SplitRatchet.responder(start(), prekey),
  };
}

/** The primitives, and every secret array that they gave out or were given. */
export function watchedPrimitives(): { readonly primitives: Primitives; readonly secrets: Uint8Array[] } {
  const secrets: Uint8Array[] = [];
  const watch = (bytes: Uint8Array): Uint8Array => {
    secrets.push(bytes);
    return bytes;
  };
  const watchPair = (pair: X25519KeyPair): X25519KeyPair => ({
    publicKey: pair.publicKey,
    agree: (peer) => watch(pair.agree(peer)),
    wipe: () => pair.wipe(),
  });
  const primitives: Primitives = {
    ...defaultPrimitives,
    hmac: (key, message) => watch(defaultPrimitives.hmac(watch(key), message)),
    x25519KeyPair: (secret) => watchPair(defaultPrimitives.x25519KeyPair(watch(secret))),
  };
  return { primitives, secrets };
}
