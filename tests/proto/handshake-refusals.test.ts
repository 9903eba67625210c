import { describe, expect, test } from "bun:test";
import { identityFromSeed } from "../../src/proto/crypto/identity.ts";
import { concatBytes } from "../../src/proto/crypto/octets.ts";
import type { ProtocolErrorName } from "../../src/proto/errors.ts";
import { ClientHandshake } from "../../src/proto/handshake-client.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { flipBit, hex, repeated, toHex, withTorsion } from "./support/bytes.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { answer, complete, connect, newSetting, offer, type Setting, toyKem } from "./support/handshake.ts";
import { handshakeFuzzIterations } from "./support/iterations.ts";
import { below, pick, seededRandom } from "./support/random.ts";
import { watchedPrimitives } from "./support/ratchets.ts";

const SMALL_ORDER_U = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
const setting = newSetting(seededRandom("handshake"));

/** A client handshake that has received the bundle, with another setting's pin if need be. */
function receive(
  bundle: Uint8Array,
  { client, server, random, suites = ["aes-256-gcm"] }: Setting,
): ClientHandshake {
  const handshake = new ClientHandshake({ identity: client, serverKey: server.publicKey, random, suites });
  handshake.receive(bundle);
  return handshake;
}

/** A copy with `put` written at `at`. */
function patch(message: Uint8Array, at: number, put: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(message);
  copy.set(put, at);
  return copy;
}

describe("the client refuses", () => {
  const { bundle } = offer(setting);

  test("a sound bundle of another server, as such", () => {
    const other = newSetting(seededRandom("another server"));
    expect(protocolErrorOf(() => receive(bundle, { ...setting, server: other.server }))).toBe(
      "wrongIdentity",
    );
  });

  test("a bundle with any byte changed, never as another server's", () => {
    const random = seededRandom("bundle bits");
    const reasons = new Set<string>();
    for (let at = 0; at < bundle.length; at++) {
      const changed = flipBit(bundle, at * 8 + below(random, 8));
      const reason = protocolErrorOf(() => receive(changed, setting));
      expect([at, reason]).not.toEqual([at, "none"]);
      reasons.add(reason);
    }
    expect(reasons).not.toContain("wrongIdentity");
    expect(reasons).toContain("badSignature");
  });

  test("a bundle cut short anywhere, or with bytes behind it", () => {
    for (let length = 0; length < bundle.length; length++) {
      expect(protocolErrorOf(() => receive(bundle.subarray(0, length), setting))).toBe("malformed");
    }
    const longer = concatBytes(bundle, repeated(0, 1));
    expect(protocolErrorOf(() => receive(longer, setting))).toBe("malformed");
    const enormous = concatBytes(bundle, repeated(0, 5_000));
    expect(protocolErrorOf(() => receive(enormous, setting))).toBe("tooLarge");
  });

  test("a server without a suite of its own", () => {
    const gcmOnly = offer({ ...setting, serverSuites: ["aes-256-gcm"] }).bundle;
    const chacha: Setting = { ...setting, suites: ["chacha20-poly1305"] };
    expect(protocolErrorOf(() => receive(gcmOnly, chacha))).toBe("unsupported");
  });
});

/** Where the fields of M begin. */
const AT = { version: 0, suite: 1, ephemeralKey: 2, ciphertext: 34, box: 1122, packet: 1170 } as const;
const PACKET = {
  flags: AT.packet,
  number: AT.packet + 1,
  previousLength: AT.packet + 5,
  ratchetKey: AT.packet + 9,
};

describe("the server refuses", () => {
  const cases: [string, ProtocolErrorName, (message: Uint8Array) => Uint8Array][] = [
    ["nothing at all", "malformed", () => repeated(0, 0)],
    ["M without packet 0", "malformed", (m) => m.subarray(0, AT.packet)],
    ["M with a packet 0 too short to be one", "malformed", (m) => m.subarray(0, AT.packet + 56)],
    ["M that is cut by one byte", "badTag", (m) => m.subarray(0, -1)],
    ["M with a byte behind it", "badTag", (m) => concatBytes(m, repeated(0, 1))],
    ["M above the limit", "tooLarge", (m) => concatBytes(m, repeated(0, LIMITS.maxFramesBytes))],
    ["another version", "unsupported", (m) => patch(m, AT.version, Uint8Array.of(1))],
    ["an unknown suite", "unsupported", (m) => patch(m, AT.suite, Uint8Array.of(9))],
    ["the other suite", "badTag", (m) => patch(m, AT.suite, Uint8Array.of(2))],
    ["an ephemeral key of small order", "badKey", (m) => patch(m, AT.ephemeralKey, hex(SMALL_ORDER_U))],
    ["another ephemeral key", "badTag", (m) => flipBit(m, AT.ephemeralKey * 8)],
    ["another KEM ciphertext", "badTag", (m) => flipBit(m, AT.ciphertext * 8)],
    ["a change at the end of the ciphertext", "badTag", (m) => flipBit(m, AT.box * 8 - 1)],
    ["a changed box", "badTag", (m) => flipBit(m, AT.box * 8)],
    ["a changed tag of the box", "badTag", (m) => flipBit(m, AT.packet * 8 - 1)],
    ["reserved flags of packet 0", "malformed", (m) => patch(m, PACKET.flags, Uint8Array.of(0x05))],
    ["a body of packet 0", "malformed", (m) => patch(m, PACKET.flags, Uint8Array.of(0x03))],
    ["packet 0 on no new chain", "unexpectedPacket", (m) => patch(m, PACKET.flags, Uint8Array.of(0x00))],
    ["packet 1 in its place", "unexpectedPacket", (m) => patch(m, PACKET.number + 3, Uint8Array.of(1))],
    [
      "a chain before the first",
      "unexpectedPacket",
      (m) => patch(m, PACKET.previousLength + 3, Uint8Array.of(1)),
    ],
    ["a ratchet key of small order", "badKey", (m) => patch(m, PACKET.ratchetKey, hex(SMALL_ORDER_U))],
    ["another ratchet key", "badTag", (m) => flipBit(m, PACKET.ratchetKey * 8)],
    ["changed frames", "badTag", (m) => flipBit(m, (AT.packet + 41) * 8)],
    ["a changed tag", "badTag", (m) => flipBit(m, m.length * 8 - 1)],
  ];

  test.each(cases)("%s: %s", (_, reason, change) => {
    const handshake = offer(setting);
    const { message } = answer(setting, handshake.bundle);
    const before = toHex(handshake.bundle);
    const changed = change(message);
    expect(protocolErrorOf(() => complete(handshake, changed))).toBe(reason);
    // Nothing that outlives this handshake has changed: the next one of the same identity goes well.
    expect(toHex(handshake.bundle)).toBe(before);
    connect(setting);
  });

  test("a suite that it did not offer", () => {
    const handshake = offer({ ...setting, serverSuites: ["aes-256-gcm"] });
    const { message } = answer(setting, handshake.bundle);
    const changed = patch(message, AT.suite, Uint8Array.of(2));
    expect(protocolErrorOf(() => handshake.receive(changed))).toBe("unsupported");
  });

  test("the message of another link, for each link has its own prekeys", () => {
    const { message } = answer(setting, offer(setting).bundle);
    expect(protocolErrorOf(() => complete(offer(setting), message))).toBe("badTag");
  });

  test("a client who claims the key of another", () => {
    const victim = setting.client;
    const thief = identityFromSeed(repeated(3, 32));
    const claimed = { seed: thief.seed, publicKey: victim.publicKey };
    const handshake = offer(setting);
    const { message } = answer({ ...setting, client: claimed }, handshake.bundle);
    // DH1 is the thief's: the box opens, packet 0 does not.
    expect(protocolErrorOf(() => complete(handshake, message))).toBe("badTag");
  });

  // The box of a client that may write any 32 bytes into it.
  test.each([
    ["the neutral point", `01${"00".repeat(31)}`],
    ["a point of order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"],
    ["a non-canonical encoding", `f0${"ff".repeat(30)}7f`],
    ["no point at all", `02${"00".repeat(31)}`],
    ["a key with a torsion part", "torsion"],
  ])("an identity that is %s: badKey", (_, key) => {
    const publicKey = key === "torsion" ? withTorsion(setting.client.publicKey) : hex(key);
    const handshake = offer(setting);
    const { message } = answer(
      { ...setting, client: { seed: setting.client.seed, publicKey } },
      handshake.bundle,
    );
    expect(protocolErrorOf(() => complete(handshake, message))).toBe("badKey");
  });
});

describe("what a refused message costs", () => {
  const refusal = (change: (message: Uint8Array) => Uint8Array) => {
    const watched = watchedPrimitives();
    const handshake = offer({ ...setting, primitives: watched.primitives });
    const { message } = answer(setting, handshake.bundle);
    const receives = protocolErrorOf(() => handshake.receive(change(message)));
    if (receives === "none") {
      const secret = toyKem.decapsulate(change(message).subarray(AT.ciphertext));
      expect(protocolErrorOf(() => handshake.finish(secret, 0))).not.toBe("none");
    }
    // Nothing of the handshake is left, the prekey's secret half included.
    expect([watched.aliveSecrets().size, watched.alivePairs()]).toEqual([0, 0]);
    return watched.agreements();
  };

  test("no agreement, if its form is wrong", () => {
    expect(refusal((m) => m.subarray(0, AT.packet + 56))).toBe(0);
    expect(refusal((m) => concatBytes(m, repeated(0, LIMITS.maxFramesBytes)))).toBe(0);
    expect(refusal((m) => patch(m, AT.version, Uint8Array.of(3)))).toBe(0);
    expect(refusal((m) => patch(m, AT.suite, Uint8Array.of(3)))).toBe(0);
    expect(refusal((m) => patch(m, PACKET.flags, Uint8Array.of(0x03)))).toBe(0);
  });

  test("two, if the box does not open; three, if packet 0 starts no chain; four, if it does not open", () => {
    expect(refusal((m) => patch(m, AT.ephemeralKey, hex(SMALL_ORDER_U)))).toBe(1);
    expect(refusal((m) => flipBit(m, AT.box * 8))).toBe(2);
    expect(refusal((m) => patch(m, PACKET.flags, Uint8Array.of(0x00)))).toBe(3);
    expect(refusal((m) => flipBit(m, m.length * 8 - 1))).toBe(4);
  });
});

describe("fuzz", () => {
  test("no message makes the server do anything but refuse", () => {
    const random = seededRandom("fuzz server");
    const handshakeOf = () => offer({ ...setting, random });
    for (let round = 0; round < handshakeFuzzIterations(); round++) {
      const handshake = handshakeOf();
      const { message } = answer({ ...setting, random }, handshake.bundle);
      const changed = mutate(random, message);
      const reason = protocolErrorOf(() => complete(handshake, changed));
      expect([round, reason === "none"]).toEqual([round, toHex(changed) === toHex(message)]);
    }
  }, 600_000);

  test("no bundle makes the client do anything but refuse", () => {
    const random = seededRandom("fuzz client");
    const { bundle } = offer({ ...setting, random });
    for (let round = 0; round < handshakeFuzzIterations(2_000); round++) {
      const changed = mutate(random, bundle);
      const reason = protocolErrorOf(() => receive(changed, setting));
      expect([round, reason === "none"]).toEqual([round, toHex(changed) === toHex(bundle)]);
    }
  }, 600_000);
});

/** Flips, cuts, inserts or overwrites a little of a message. */
function mutate(random: ReturnType<typeof seededRandom>, message: Uint8Array): Uint8Array {
  const at = below(random, message.length);
  switch (pick(random, ["flip", "cut", "insert", "overwrite", "random"] as const)) {
    case "flip":
      return flipBit(message, at * 8 + below(random, 8));
    case "cut":
      return concatBytes(message.subarray(0, at), message.subarray(at + 1 + below(random, 64)));
    case "insert":
      return concatBytes(message.subarray(0, at), random(1 + below(random, 64)), message.subarray(at));
    case "overwrite":
      return patch(message, at, random(Math.min(message.length - at, 1 + below(random, 40))));
    case "random":
      return random(below(random, 3_000));
  }
}
