import { describe, expect, test } from "bun:test";
import { encodeBundle, MAX_ROTATIONS, type Rotation } from "../../../src/proto/crypto/bundle.ts";
import { generateIdentity, type Identity } from "../../../src/proto/crypto/identity.ts";
import { concatBytes, equalBytes } from "../../../src/proto/crypto/octets.ts";
import { followRotations, signRotation } from "../../../src/proto/crypto/rotation.ts";
import { ClientHandshake } from "../../../src/proto/handshake-client.ts";
import { ServerHandshake } from "../../../src/proto/handshake-server.ts";
import { ascii, flipBit, withTorsion } from "../support/bytes.ts";
import { protocolErrorOf } from "../support/errors.ts";
import { complete, toyKem } from "../support/handshake.ts";
import { below, seededRandom } from "../support/random.ts";

// The good and bad chains themselves are in tests/vectors/rotation.json; here is what a list of them cannot say.

const random = seededRandom("rotations");

function identities(count: number): Identity[] {
  return Array.from({ length: count }, () => generateIdentity(random));
}

function chain(keys: readonly Identity[]): Rotation[] {
  return keys.slice(1).map((to, index) => signRotation(keys[index] ?? to, to, index + 1));
}

const keys = identities(4);
const [first, second, , last] = keys as [Identity, Identity, Identity, Identity]; // Four were made.
const rotations = chain(keys);
const pin = { key: first.publicKey, sequence: 0 };

describe("followRotations", () => {
  test("keeps nothing of the message that the statements came in", () => {
    const views = rotations.map((rotation) => ({ ...rotation, newKey: Uint8Array.from(rotation.newKey) }));
    const successor = followRotations(pin, views, last.publicKey);
    for (const { newKey } of views) newKey.fill(0);
    expect(successor).toEqual({
      key: last.publicKey,
      sequence: 3,
      former: keys.slice(0, 3).map(({ publicKey }) => publicKey),
    });
  });

  test("notices a change of any bit of a statement", () => {
    const fields = ["oldKey", "newKey", "oldSignature", "newSignature"] as const;
    for (let round = 0; round < 200; round++) {
      const at = below(random, 3);
      const field = fields[below(random, 4)] ?? "oldKey";
      const changed = rotations.map((rotation, index) =>
        index === at
          ? { ...rotation, [field]: flipBit(rotation[field], below(random, rotation[field].length * 8)) }
          : rotation,
      );
      expect(typeof followRotations(pin, changed, last.publicKey)).toBe("string");
    }
    for (const sequence of [0, 1, 3, 4, 0xffffffff]) {
      const changed = rotations.map((rotation, index) =>
        index === 1 ? { ...rotation, sequence } : rotation,
      );
      expect(typeof followRotations(pin, changed, last.publicKey)).toBe("string");
    }
  });

  test("takes no more statements than a bundle can carry", () => {
    const many = identities(MAX_ROTATIONS + 2);
    const end = many.at(-1)?.publicKey ?? first.publicKey;
    expect(followRotations({ key: many[0]?.publicKey ?? end, sequence: 0 }, chain(many), end)).toBe(
      "9 statements",
    );
    expect(() => encodeBundle({ ...bundleOf(last, []), rotations: chain(many) })).toThrow("rotations");
  });

  test("does not lead to a key with a torsion part, whoever signed it", () => {
    const twisted = withTorsion(second.publicKey);
    const statement = { ...signRotation(first, second, 1), newKey: twisted };
    expect(followRotations(pin, [statement], twisted)).toContain("not acceptable");
  });

  test.each([0, -1, 1.5, 2 ** 32])("a sequence of %d is never signed", (sequence) => {
    expect(() => signRotation(first, second, sequence)).toThrow("sequence");
  });
});

function bundleOf(identity: Identity, statements: readonly Rotation[]) {
  return {
    versions: [2],
    suites: [1],
    boot: random(16),
    serverKey: identity.publicKey,
    rotations: statements,
    prekey: random(32),
    kemPublicKey: random(1184),
    padding: random(0),
  };
}

describe("a handshake across rotations", () => {
  const suites = ["aes-256-gcm"] as const;
  const client = generateIdentity(random);
  const offer = (identity: Identity) =>
    new ServerHandshake({
      identity,
      rotations,
      boot: random(16),
      kemPublicKey: toyKem.publicKey(random),
      random,
      suites,
    });

  test("is made with the new identity: the server's old secret does not open it", () => {
    const server = offer(last);
    const atClient = new ClientHandshake({ identity: client, serverKey: first.publicKey, random, suites });
    const { successor } = atClient.receive(server.bundle);
    expect(successor?.key).toEqual(last.publicKey);
    const { ratchet, prefix } = atClient.finish(toyKem.encapsulate(random), 0);
    const message = concatBytes(prefix, ratchet.seal(ascii("hello"), undefined, 0).lead);
    const proven = complete(server, message);
    expect(equalBytes(proven.clientKey, client.publicKey)).toBe(true);
    const reply = proven.ratchet.seal(ascii("accept"), undefined, 0);
    expect(ratchet.open(reply.lead, undefined, 0).frames).toEqual(ascii("accept"));
  });

  test("tells a client that pins the new identity of no successor, whatever the statements are", () => {
    const serverKey = last.publicKey;
    const atClient = new ClientHandshake({ identity: client, serverKey, sequence: 3, random, suites });
    expect(atClient.receive(offer(last).bundle).successor).toBeUndefined();
  });

  test("does not lead back: a pin that has moved refuses the former key", () => {
    for (const sequence of [0, 3]) {
      const serverKey = last.publicKey;
      const atClient = new ClientHandshake({ identity: client, serverKey, sequence, random, suites });
      expect(protocolErrorOf(() => atClient.receive(offer(first).bundle))).toBe("wrongIdentity");
    }
  });

  test("goes by the signature of the bundle first: statements put into it are no successor", () => {
    const bundle = Uint8Array.from(offer(last).bundle);
    const at = bundle.length - 64 - 1184 - 32 - 500;
    for (let offset = 60; offset < at; offset += 97) {
      const atClient = new ClientHandshake({ identity: client, serverKey: first.publicKey, random, suites });
      const reason = protocolErrorOf(() => atClient.receive(flipBit(bundle, offset * 8)));
      expect(["badSignature", "malformed", "tooLarge"]).toContain(reason);
    }
  });
});
