import { expect } from "bun:test";
import { wipe } from "../../../src/proto/crypto/octets.ts";
import type { OpenedPacket, Packet } from "../../../src/proto/crypto/packet.ts";
import {
  defaultPrimitives,
  type Primitives,
  type Suite,
  type X25519KeyPair,
} from "../../../src/proto/crypto/primitives/index.ts";
import { type RatchetStart, SplitRatchet } from "../../../src/proto/crypto/ratchet.ts";
import type { RatchetOptions } from "../../../src/proto/crypto/ratchet-options.ts";
import type { Random } from "../../../src/proto/random.ts";
import { ascii, repeated, toHex } from "./bytes.ts";
import { seededRandom } from "./random.ts";

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

export interface WatchedPrimitives {
  readonly primitives: Primitives;
  /** Secret arrays given out or taken that are not wiped. */
  aliveSecrets(): Set<Uint8Array>;
  /** Key pairs that are not wiped. */
  alivePairs(): number;
  /** X25519 agreements made. */
  agreements(): number;
}

/** The primitives, watched for secrets that outlive their use. */
export function watchedPrimitives(): WatchedPrimitives {
  const secrets = new Set<Uint8Array>();
  const pairs = new Set<X25519KeyPair>();
  let agreements = 0;
  const watch = (bytes: Uint8Array): Uint8Array => {
    secrets.add(bytes);
    return bytes;
  };
  const watchPair = (pair: X25519KeyPair): X25519KeyPair => {
    pairs.add(pair);
    return {
      publicKey: pair.publicKey,
      agree(peer) {
        agreements++;
        return watch(pair.agree(peer));
      },
      wipe() {
        pairs.delete(pair);
        pair.wipe();
      },
    };
  };
  const { hmac, x25519KeyPair, x25519KeyPairOfSeed, sealParts, openParts } = defaultPrimitives;
  const primitives: Primitives = {
    ...defaultPrimitives,
    hmac: (key, message) => watch(hmac(watch(key), message)),
    x25519KeyPair: (secret) => watchPair(x25519KeyPair(watch(secret))),
    x25519KeyPairOfSeed: (seed) => watchPair(x25519KeyPairOfSeed(seed)),
    sealParts: (suite, key, ...rest) => sealParts(suite, watch(key), ...rest),
    openParts: (suite, key, ...rest) => openParts(suite, watch(key), ...rest),
  };
  const isAlive = (bytes: Uint8Array) => bytes.some((byte) => byte !== 0);
  return {
    primitives,
    aliveSecrets: () => new Set([...secrets].filter(isAlive)),
    alivePairs: () => pairs.size,
    agreements: () => agreements,
  };
}

export function startsChain({ lead }: Packet): boolean {
  return ((lead[0] ?? 0) & 1) === 1;
}

/** Opens as a link does: what the flags say decides whether the second message belongs to the first. */
export function openAsLink(ratchet: SplitRatchet, { lead, body }: Packet, now = 0): OpenedPacket {
  const follows = SplitRatchet.bodyFollows(lead);
  return ratchet.open(lead, follows ? (body ?? repeated(1, 20)) : undefined, now);
}

/** Seals at one end and opens at the other. */
export function send(from: SplitRatchet, to: SplitRatchet, now = 0, frames = ascii("frames")): Packet {
  const packet = from.seal(frames, undefined, now);
  expect(toHex(openAsLink(to, packet, now).frames)).toBe(toHex(frames));
  return packet;
}

/** A pair whose both first packets have been exchanged: both chains stand, and it is the client's turn. */
export function connectedPair(options: Partial<RatchetOptions> = {}): RatchetPair {
  const pair = ratchetPair(seededRandom("connected"), options);
  send(pair.client, pair.server);
  send(pair.server, pair.client);
  return pair;
}
