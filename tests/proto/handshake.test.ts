import { describe, expect, test } from "bun:test";
import { concatBytes } from "../../src/proto/crypto/octets.ts";
import {
  nativePrimitives,
  type Primitives,
  portableKem,
  type Suite,
} from "../../src/proto/crypto/primitives/index.ts";
import { ClientHandshake } from "../../src/proto/handshake-client.ts";
import { ServerHandshake } from "../../src/proto/handshake-server.ts";
import { kem as nativeKem } from "../../src/proto/index.ts";
import { ascii, repeated, toHex } from "./support/bytes.ts";
import { protocolErrorOf } from "./support/errors.ts";
import { answer, complete, connect, newSetting, offer, type Setting, toyKem } from "./support/handshake.ts";
import { seededRandom } from "./support/random.ts";
import { watchedPrimitives } from "./support/ratchets.ts";

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
    expect(offered.successor).toBeUndefined();
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

  test("leaves the keys of its ratchet and nothing else", () => {
    const watched = watchedPrimitives();
    const { client, server } = connect({ ...setting, primitives: watched.primitives });
    const reply = server.seal(ascii("accept"), undefined, 0);
    client.open(reply.lead, undefined, 0);
    // Two chain keys at each end, and the server's new ratchet key.
    expect([watched.aliveSecrets().size, watched.alivePairs()]).toEqual([4, 1]);
    client.wipe();
    server.wipe();
    expect([watched.aliveSecrets().size, watched.alivePairs()]).toEqual([0, 0]);
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
