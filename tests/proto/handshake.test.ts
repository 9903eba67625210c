import { describe, expect, test } from "bun:test";
import { identityFromSeed } from "../../src/proto/crypto/identity.ts";
import { concatBytes } from "../../src/proto/crypto/octets.ts";
import {
  nativePrimitives,
  type Primitives,
  portableKem,
  type Suite,
} from "../../src/proto/crypto/primitives/index.ts";
import type { ProtocolErrorName } from "../../src/proto/errors.ts";
import { ClientHandshake } from "../../src/proto/handshake-client.ts";
import { ServerHandshake } from "../../src/proto/handshake-server.ts";
import { kem as nativeKem } from "../../src/proto/index.ts";
import { LIMITS } from "../../src/proto/limits.ts";
import { ascii, flipBit, hex, repeated, toHex, withTorsion } from "./support/bytes.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { answer, complete, connect, newSetting, offer, type Setting, toyKem } from "./support/handshake.ts";
import { fuzzIterations } from "./support/iterations.ts";
import { below, pick, seededRandom } from "./support/random.ts";

const SMALL_ORDER_U = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
const suites: Suite[] = ["aes-256-gcm", "chacha20-poly1305"];
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

describe("the handshake", () => {
  test.each(suites)("gives both sides the same ratchet and the server the client's key (%s)", (suite) => {
    const handshake = offer(setting);
    const { ratchet, message } = answer(
      { ...setting, suites: [suite] },
      handshake.bundle,
      ascii("first frames"),
    );
    const proven = complete(handshake, message);
    expect(toHex(proven.clientKey)).toBe(toHex(setting.client.publicKey));
    expect(new TextDecoder().decode(proven.frames)).toBe("first frames");
    const reply = proven.ratchet.seal(ascii("accept"), undefined, 0);
    expect(new TextDecoder().decode(ratchet.open(reply.lead, undefined, 0).frames)).toBe("accept");
  });

  test.each([
    ["native", nativeKem],
    ["portable", portableKem(setting.random)],
  ])("goes the same way with real ML-KEM (%s)", async (_, kem) => {
    const { server, client, random } = setting;
    const pair = await kem.generateKeyPair();
    const boot = random(16);
    const atServer = new ServerHandshake({
      identity: server,
      boot,
      kemPublicKey: pair.publicKey,
      random,
      suites,
    });
    const atClient = new ClientHandshake({ identity: client, serverKey: server.publicKey, random, suites });
    const offered = atClient.receive(atServer.bundle);
    expect(toHex(offered.boot)).toBe(toHex(boot));
    expect(offered.rotations).toEqual([]);
    const { ratchet, prefix } = atClient.finish(await kem.encapsulate(offered.kemPublicKey), 0);
    const message = concatBytes(prefix, ratchet.seal(ascii("hello"), undefined, 0).lead);
    const { ciphertext } = atServer.receive(message);
    const proven = atServer.finish(await pair.decapsulate(ciphertext), 0);
    expect(new TextDecoder().decode(proven.frames)).toBe("hello");
  });

  test("the client takes the first suite of its own order that the server has", () => {
    const seen: string[] = [];
    const watching: Primitives = {
      ...nativePrimitives,
      sealParts(suite, ...rest) {
        seen.push(suite);
        return nativePrimitives.sealParts(suite, ...rest);
      },
    };
    answer(
      { ...setting, suites: ["chacha20-poly1305", "aes-256-gcm"], primitives: watching },
      offer(setting).bundle,
    );
    const gcmOnly = offer({ ...setting, serverSuites: ["aes-256-gcm"] }).bundle;
    answer({ ...setting, suites: ["chacha20-poly1305", "aes-256-gcm"], primitives: watching }, gcmOnly);
    expect(seen).toEqual(["chacha20-poly1305", "chacha20-poly1305", "aes-256-gcm", "aes-256-gcm"]);
  });

  test("bundles are padded by 0 to 1,023 bytes", () => {
    const lengths = Array.from({ length: 200 }, () => offer(setting).bundle.length);
    const shortest = 2 + 2 + 3 + 16 + 32 + 1 + 32 + 1184 + 64;
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(shortest);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(shortest + 1023);
    expect(Math.max(...lengths) - Math.min(...lengths)).toBeGreaterThan(800);
  });

  test("nothing of the client's identity is in clear", () => {
    const { message } = answer(setting, offer(setting).bundle);
    expect(toHex(message)).not.toContain(toHex(setting.client.publicKey));
  });
});

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

describe("a handshake is used once, in order", () => {
  const { random, client, server } = setting;
  const fresh = () => new ClientHandshake({ identity: client, serverKey: server.publicKey, random, suites });

  test("at the client", () => {
    expect(() => fresh().finish(toyKem.encapsulate(random), 0)).toThrow("after it has received");
    const handshake = fresh();
    handshake.receive(offer(setting).bundle);
    expect(() => handshake.receive(offer(setting).bundle)).toThrow("receives one message");
    handshake.finish(toyKem.encapsulate(random), 0);
    expect(() => handshake.finish(toyKem.encapsulate(random), 0)).toThrow("finishes once");
    const failed = fresh();
    expect(protocolErrorOf(() => failed.receive(repeated(0, 10)))).toBe("malformed");
    expect(() => failed.receive(offer(setting).bundle)).toThrow("receives one message");
  });

  test("at the server", () => {
    const early = offer(setting);
    expect(() => early.finish(repeated(0, 32), 0)).toThrow("after it has received");
    const handshake = offer(setting);
    const { message } = answer(setting, handshake.bundle);
    complete(handshake, message);
    expect(() => handshake.receive(message)).toThrow("receives one message");
    expect(() => handshake.finish(repeated(0, 32), 0)).toThrow("finishes once");
    const failed = offer(setting);
    const good = answer(setting, failed.bundle).message;
    expect(protocolErrorOf(() => failed.receive(good.subarray(1)))).toBe("unsupported");
    expect(() => failed.receive(good)).toThrow("receives one message");
  });

  test("and not after its deadline", () => {
    const handshake = offer(setting);
    const { message } = answer(setting, handshake.bundle);
    handshake.abandon();
    expect(() => handshake.receive(message)).toThrow("receives one message");
    const late = offer(setting);
    late.receive(answer(setting, late.bundle).message);
    late.abandon();
    late.abandon();
    expect(() => late.finish(repeated(0, 32), 0)).toThrow("finishes once");
  });

  test("the KEM's secret is wiped, whether it was the right one or not", () => {
    const handshake = offer(setting);
    const atClient = receive(handshake.bundle, setting);
    const kem = toyKem.encapsulate(random);
    const { ratchet, prefix } = atClient.finish(kem, 0);
    expect(kem.sharedSecret).toEqual(repeated(0, 32));
    handshake.receive(concatBytes(prefix, ratchet.seal(ascii("x"), undefined, 0).lead));
    const wrong = repeated(9, 32);
    expect(protocolErrorOf(() => handshake.finish(wrong, 0))).toBe("badTag");
    expect(wrong).toEqual(repeated(0, 32));
  });
});

describe("fuzz", () => {
  test("no message makes the server do anything but refuse", () => {
    const random = seededRandom("fuzz server");
    const handshakeOf = () => offer({ ...setting, random });
    const rounds = Math.ceil(fuzzIterations() / 4);
    for (let round = 0; round < rounds; round++) {
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
    for (let round = 0; round < fuzzIterations(); round++) {
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
