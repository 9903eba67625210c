import { describe, expect, test } from "bun:test";
import {
  formatPublicKey,
  formatSecretKey,
  identityFromSeed,
  parsePublicKey,
  parseSecretKey,
} from "../../src/proto/crypto/identity.ts";
import { decodeOffer, encodeOffer } from "../../src/proto/crypto/offer.ts";
import { PROTOCOL_VERSION, SUITE_CODES } from "../../src/proto/crypto/suites.ts";
import { ProtocolError } from "../../src/proto/errors.ts";
import { checkGateToken, makeGateToken } from "../../src/proto/gate.ts";
import { formatLink, parseLink } from "../../src/proto/link-text.ts";
import type { Random } from "../../src/proto/random.ts";
import { decodeBase64url, encodeBase64url, TextFormatError } from "../../src/proto/text.ts";
import { toHex } from "./support/bytes.ts";
import { fuzzIterations } from "./support/iterations.ts";
import { below, pick, seededRandom } from "./support/random.ts";

const ITERATIONS = fuzzIterations();
const TIMEOUT_MS = 10_000 + ITERATIONS;
const CHARACTERS = [..."ABab09-_#/:.@?% \n\t\0é\ud83d"];

const random = seededRandom("fuzz texts");
const identity = identityFromSeed(random(32));
const gateKey = random(32);

/** A decoder of text: what it says of a text, written again; undefined where it refuses. */
interface Decoder {
  readonly name: string;
  /** A text that it takes. */
  readonly sample: string;
  readonly again: (text: string) => string | undefined;
}

const DECODERS: readonly Decoder[] = [
  {
    name: "links",
    sample: formatLink({
      url: "wss://vpn.example.com:8443/deep/path",
      kind: "invite",
      serverKey: identity.publicKey,
      gateKey,
      secret: random(16),
    }),
    again: (text) => formatLink(parseLink(text)),
  },
  {
    name: "public keys",
    sample: formatPublicKey(identity.publicKey),
    again: (text) => formatPublicKey(parsePublicKey(text)),
  },
  {
    name: "secret keys",
    sample: formatSecretKey(identity),
    again: (text) => formatSecretKey(parseSecretKey(text)),
  },
  {
    name: "base64url",
    sample: encodeBase64url(random(33)),
    again: (text) => {
      const bytes = decodeBase64url(text);
      return bytes === undefined ? undefined : encodeBase64url(bytes);
    },
  },
];

describe(`${ITERATIONS} changed texts: an error that names the fault, or one way to write it`, () => {
  test.each(DECODERS)(
    "$name",
    ({ sample, again }) => {
      expect(again(sample)).toBe(sample);
      for (let round = 0; round < ITERATIONS; round++) {
        const text = changed(sample);
        try {
          const written = again(text);
          if (written !== undefined && written !== text) throw new Error(`is written again as ${written}`);
        } catch (error) {
          if (error instanceof TextFormatError) continue;
          throw new Error(`${JSON.stringify(text)}: ${String(error)}`, { cause: error });
        }
      }
    },
    TIMEOUT_MS,
  );
});

test(
  `${ITERATIONS} changed tokens open no gate`,
  () => {
    const sample = makeGateToken(gateKey, random);
    expect(checkGateToken(sample, [gateKey])).toBeDefined();
    for (let round = 0; round < ITERATIONS; round++) {
      const text = changed(sample);
      if (text !== sample && checkGateToken(text, [gateKey]) !== undefined)
        throw new Error(JSON.stringify(text));
    }
  },
  TIMEOUT_MS,
);

test(
  `${ITERATIONS} changed offers: a ProtocolError, or one encoding`,
  () => {
    const sample = new Uint8Array(3_000);
    sample.set([PROTOCOL_VERSION, SUITE_CODES["aes-256-gcm"]]);
    expect(toHex(joined(decodeOffer(sample)))).toBe(toHex(sample));
    for (let round = 0; round < ITERATIONS; round++) {
      const message = changedBytes(sample);
      try {
        const again = joined(decodeOffer(message));
        if (!Buffer.from(again).equals(message)) throw new Error("is encoded otherwise");
      } catch (error) {
        if (error instanceof ProtocolError) continue;
        throw new Error(`${toHex(message)}: ${String(error)}`, { cause: error });
      }
    }
  },
  TIMEOUT_MS,
);

function joined(offer: ReturnType<typeof decodeOffer>): Uint8Array {
  return Buffer.concat([encodeOffer(offer), offer.packet]);
}

function changed(text: string): string {
  let result = text;
  for (let left = 1 + below(random, 3); left > 0; left--) {
    const at = below(random, result.length + 1);
    result = result.slice(0, at) + inserted() + result.slice(at + below(random, 3));
  }
  // Now and then something that has nothing to do with it.
  return below(random, 20) === 0 ? String.fromCharCode(...random(below(random, 200))) : result;
}

function inserted(): string {
  return Array.from({ length: below(random, 3) }, () => pick(random, CHARACTERS)).join("");
}

function changedBytes(bytes: Uint8Array): Uint8Array {
  const result = Uint8Array.from(bytes);
  // Half of the changes hit the front, where version and suite are.
  for (let left = below(random, 3); left >= 0; left--)
    result[below(random, pick(random, [8, bytes.length]))] = below(random, 256);
  return result.subarray(0, lengthOf(random, bytes.length));
}

function lengthOf(random: Random, whole: number): number {
  return below(random, 4) === 0 ? below(random, whole) : whole;
}
