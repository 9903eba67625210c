import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { encodeBundle, openBundle } from "../../src/proto/crypto/bundle.ts";
import {
  formatPublicKey,
  formatSecretKey,
  parsePublicKey,
  parseSecretKey,
} from "../../src/proto/crypto/identity.ts";
import {
  edwardsToMontgomery,
  nativePrimitives,
  type Primitives,
  portablePrimitives,
} from "../../src/proto/crypto/primitives/index.ts";
import { checkGateToken } from "../../src/proto/gate.ts";
import { ClientHandshake } from "../../src/proto/handshake-client.ts";
import { formatLink, inviteHash, parseLink, seatIdentity } from "../../src/proto/link-text.ts";
import { TextFormatError } from "../../src/proto/text.ts";
import bundleFile from "../vectors/bundle.json";
import gateFile from "../vectors/gate.json";
import identityFile from "../vectors/identity.json";
import linkFile from "../vectors/link.json";
import rotationFile from "../vectors/rotation.json";
import { hex, toHex } from "./support/bytes.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { seededRandom } from "./support/random.ts";
import { vectorFiles } from "./vectors/files.ts";

const implementations: [string, Primitives][] = [
  ["native", nativePrimitives],
  ["portable", portablePrimitives],
];

describe.each(implementations)("the files of tests/vectors, %s", (_, primitives) => {
  test.each([...vectorFiles(primitives)])(
    "%s is what bun scripts/make-vectors.ts writes",
    async (name, text) => {
      expect(await Bun.file(join(import.meta.dir, "..", "vectors", name)).text()).toBe(text);
    },
  );
});

describe("identity.json", () => {
  test.each(identityFile.keys)(
    "$publicText",
    ({ seed, publicKey, x25519PublicKey, publicText, secretText }) => {
      const identity = parseSecretKey(secretText);
      expect(toHex(identity.seed)).toBe(seed);
      expect(toHex(identity.publicKey)).toBe(publicKey);
      expect(toHex(portablePrimitives.ed25519PublicKey(hex(seed)))).toBe(publicKey);
      expect(toHex(edwardsToMontgomery(hex(publicKey)))).toBe(x25519PublicKey);
      expect(toHex(parsePublicKey(publicText))).toBe(publicKey);
      expect([formatPublicKey(hex(publicKey)), formatSecretKey(identity)]).toEqual([publicText, secretText]);
    },
  );
  test.each(identityFile.badPublicTexts)("no public key: $comment", ({ text }) => {
    expect(() => parsePublicKey(text)).toThrow(TextFormatError);
  });
  test.each(identityFile.badSecretTexts)("no secret key: $comment", ({ text }) => {
    expect(() => parseSecretKey(text)).toThrow(TextFormatError);
  });
});

describe("link.json", () => {
  test.each(linkFile.links)("$text", (vector) => {
    const link = parseLink(vector.text);
    expect(formatLink(link)).toBe(vector.text);
    expect([link.url, link.kind as string]).toEqual([vector.url, vector.kind]);
    expect([link.serverKey, link.gateKey, link.secret].map(toHex)).toEqual([
      vector.serverKey,
      vector.gateKey,
      vector.secret,
    ]);
    for (const [, primitives] of implementations) {
      expect(toHex(inviteHash(link.secret, primitives))).toBe(vector.inviteHash);
      expect(toHex(seatIdentity(link.secret, link.serverKey, primitives).seed)).toBe(vector.seatSeed);
    }
    expect(toHex(seatIdentity(link.secret, link.serverKey).publicKey)).toBe(vector.seatPublicKey);
  });
  test.each(linkFile.bad)("no link: $comment", ({ text }) => {
    expect(() => parseLink(text)).toThrow(TextFormatError);
  });
});

describe.each(implementations)("gate.json, %s", (_, primitives) => {
  test.each(gateFile.tokens)("$token", ({ token, gateKey, nonce }) => {
    expect(checkGateToken(token, [hex(gateKey)], primitives)?.toHex()).toBe(nonce);
  });
  test.each(gateFile.bad)("no token: $comment", ({ token, gateKey }) => {
    expect(checkGateToken(token, [hex(gateKey)], primitives)).toBeUndefined();
  });
});

describe.each(implementations)("bundle.json, %s", (_, primitives) => {
  test.each(bundleFile.bundles)("$comment", (vector) => {
    const message = hex(vector.message);
    const bundle = openBundle(primitives, message);
    expect(toHex(encodeBundle(bundle))).toBe(toHex(message.subarray(0, -64)));
    expect([bundle.versions, bundle.suites].map((list) => toHex(Uint8Array.from(list)))).toEqual([
      vector.versions,
      vector.suites,
    ]);
    expect(
      [bundle.boot, bundle.serverKey, bundle.prekey, bundle.kemPublicKey, bundle.padding].map(toHex),
    ).toEqual([vector.boot, bundleFile.serverKey, vector.prekey, vector.kemPublicKey, vector.padding]);
    expect(
      bundle.rotations.map(({ oldKey, sequence, newSignature }) => [
        toHex(oldKey),
        sequence,
        toHex(newSignature),
      ]),
    ).toEqual(vector.rotations.map(({ oldKey, sequence, newSignature }) => [oldKey, sequence, newSignature]));
  });

  test.each(bundleFile.bad)("$error: $comment", ({ message, error }) => {
    const random = seededRandom("a client");
    const client = new ClientHandshake({
      identity: parseSecretKey(identityFile.keys[0]?.secretText ?? ""),
      serverKey: hex(bundleFile.serverKey),
      random,
      suites: ["aes-256-gcm", "chacha20-poly1305"],
      primitives,
    });
    const attempt = () => {
      client.receive(hex(message));
      client.finish({ ciphertext: random(1088), sharedSecret: random(32) }, 0);
    };
    expect<string>(protocolErrorOf(attempt)).toBe(error);
  });
});

describe.each(implementations)("rotation.json, %s", (_, primitives) => {
  const clientOf = ({ pin, sequence }: { readonly pin: string; readonly sequence: number }) =>
    new ClientHandshake({
      identity: parseSecretKey(identityFile.keys[0]?.secretText ?? ""),
      serverKey: hex(pin),
      sequence,
      random: seededRandom("a client"),
      suites: ["aes-256-gcm"],
      primitives,
    });

  test.each(rotationFile.followed)("followed: $comment", ({ message, key, newSequence, former, ...pin }) => {
    const { successor } = clientOf(pin).receive(hex(message));
    expect(successor?.sequence).toBe(newSequence);
    expect([successor?.key ?? hex(""), ...(successor?.former ?? [])].map(toHex)).toEqual([key, ...former]);
  });

  test.each(rotationFile.refused)("refused: $comment", ({ message, ...pin }) => {
    expect(protocolErrorOf(() => clientOf(pin).receive(hex(message)))).toBe("wrongIdentity");
  });
});
