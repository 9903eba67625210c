import { generateIdentity, type Identity } from "../../../src/proto/crypto/identity.ts";
import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import {
  defaultPrimitives,
  type Encapsulation,
  type Primitives,
  type Suite,
} from "../../../src/proto/crypto/primitives/index.ts";
import type { SplitRatchet } from "../../../src/proto/crypto/ratchet.ts";
import type { RatchetOptions } from "../../../src/proto/crypto/ratchet-options.ts";
import { ClientHandshake } from "../../../src/proto/handshake-client.ts";
import { type ProvenClient, ServerHandshake } from "../../../src/proto/handshake-server.ts";
import type { Random } from "../../../src/proto/random.ts";
import { ascii } from "./bytes.ts";

/**
 * A KEM that keeps no secret and costs nothing: the ciphertext starts with the secret itself. The machines only carry
 * what the shell hands them, so that the real one adds nothing to most tests.
 */
export const toyKem = {
  publicKey: (random: Random): Uint8Array => random(1184),
  encapsulate(random: Random): Encapsulation {
    const ciphertext = random(1088);
    return { ciphertext, sharedSecret: ciphertext.slice(0, 32) };
  },
  decapsulate: (ciphertext: Uint8Array): Uint8Array => ciphertext.slice(0, 32),
};

export interface Setting {
  readonly random: Random;
  readonly server: Identity;
  readonly client: Identity;
  readonly suites?: readonly Suite[];
  readonly serverSuites?: readonly Suite[];
  readonly primitives?: Primitives;
  readonly ratchet?: Partial<RatchetOptions>;
}

export function newSetting(random: Random): Setting {
  return { random, server: generateIdentity(random), client: generateIdentity(random) };
}

/** A server handshake with a toy KEM key. */
export function offer(setting: Setting): ServerHandshake {
  const { random, server, serverSuites = ["aes-256-gcm", "chacha20-poly1305"] } = setting;
  return new ServerHandshake({
    identity: server,
    boot: random(16),
    kemPublicKey: toyKem.publicKey(random),
    random,
    suites: serverSuites,
    primitives: setting.primitives ?? defaultPrimitives,
    ratchet: setting.ratchet ?? {},
  });
}

/** The client's answer to a bundle: its ratchet and M with packet 0 of `frames`. */
export function answer(
  setting: Setting,
  bundle: Uint8Array,
  frames: Uint8Array = ascii("hello"),
): { readonly ratchet: SplitRatchet; readonly message: Uint8Array } {
  const { random, server, client, suites = ["aes-256-gcm"] } = setting;
  const handshake = new ClientHandshake({
    identity: client,
    serverKey: server.publicKey,
    random,
    suites,
    primitives: setting.primitives ?? defaultPrimitives,
    ratchet: setting.ratchet ?? {},
  });
  handshake.receive(bundle);
  const { ratchet, prefix } = handshake.finish(toyKem.encapsulate(random), 0);
  return { ratchet, message: concatBytes(prefix, ratchet.seal(frames, undefined, 0).lead) };
}

/** The server's end of M. */
export function complete(handshake: ServerHandshake, message: Uint8Array): ProvenClient {
  const { ciphertext } = handshake.receive(message);
  return handshake.finish(toyKem.decapsulate(ciphertext), 0);
}

/** A whole handshake: the two ratchets, the client's first packet already opened. */
export function connect(setting: Setting): { readonly client: SplitRatchet; readonly server: SplitRatchet } {
  const handshake = offer(setting);
  const { ratchet: client, message } = answer(setting, handshake.bundle);
  return { client, server: complete(handshake, message).ratchet };
}
