import { describe, expect, test } from "bun:test";
import { type Kem, nativeKem, portableKem } from "../../../src/proto/crypto/primitives/index.ts";
import { flipBit, repeated, toHex } from "../support/bytes.ts";
import { seededRandom } from "../support/random.ts";

const kems: [string, Kem][] = [
  ["native", nativeKem],
  ["portable", portableKem(seededRandom("kem"))],
];
const pairs = kems.flatMap(([a, server]) =>
  kems.map(([b, client]): [string, string, Kem, Kem] => [a, b, server, client]),
);

describe.each(pairs)("ML-KEM-768, %s key pair and %s encapsulation", (_a, _b, server, client) => {
  test("both ends get the same 32 bytes", async () => {
    const pair = await server.generateKeyPair();
    expect(pair.publicKey).toHaveLength(1184);
    const { ciphertext, sharedSecret } = await client.encapsulate(pair.publicKey);
    expect(ciphertext).toHaveLength(1088);
    expect(sharedSecret).toHaveLength(32);
    expect(toHex(await pair.decapsulate(ciphertext))).toBe(toHex(sharedSecret));
  });

  test("a forged ciphertext gives other bytes, always the same ones (implicit rejection)", async () => {
    const pair = await server.generateKeyPair();
    const { ciphertext, sharedSecret } = await client.encapsulate(pair.publicKey);
    const forged = flipBit(ciphertext, 4_000);
    const secret = await pair.decapsulate(forged);
    expect(toHex(secret)).not.toBe(toHex(sharedSecret));
    expect(toHex(await pair.decapsulate(forged))).toBe(toHex(secret));
  });
});

describe.each(kems)("ML-KEM-768, %s", (_, kem) => {
  test("refuses a key with coefficients above the modulus (FIPS 203 section 7.2)", async () => {
    const attempt = kem.encapsulate(repeated(0xff, 1184));
    expect(await attempt.catch((error: unknown) => error)).toMatchObject({ reason: "badKey" });
  });

  test("refuses lengths by name", async () => {
    const { decapsulate } = await kem.generateKeyPair();
    const problems = [kem.encapsulate(repeated(0, 1183)), decapsulate(repeated(0, 1087))];
    const messages = await Promise.all(
      problems.map((problem) => problem.catch((error: unknown) => String(error))),
    );
    expect(messages).toEqual([
      "RangeError: publicKey: expected 1184 bytes, got 1183",
      "RangeError: ciphertext: expected 1088 bytes, got 1087",
    ]);
  });
});
