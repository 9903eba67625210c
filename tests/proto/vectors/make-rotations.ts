import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import { identityFromSeed } from "../../../src/proto/index.ts";
import { toHex } from "../support/bytes.ts";
import { type BundleFields, oracleBundle, oracleRotation, u8 } from "../support/oracle.ts";
import { seededRandom } from "../support/random.ts";

// Bundles with rotations, all made by the oracle, as a client meets them whose pin is older.

const random = seededRandom("rvpn/2 rotation vectors");
/** Seeds of the server's identities, the first one first; the rotation with sequence n leads to seeds[n]. */
const seeds = Array.from({ length: 11 }, () => random(32));
const stranger = random(32);
const rest: Omit<BundleFields, "serverSeed"> = {
  versions: [2],
  suites: [1, 2],
  boot: random(16),
  prekey: random(32),
  kemPublicKey: random(1184),
  padding: random(3),
};

function seed(index: number): Uint8Array {
  return seeds[index] ?? stranger;
}

function keyOf(secret: Uint8Array): string {
  return toHex(identityFromSeed(secret).publicKey);
}

/** The statement with sequence `n`, as a server signs it. */
function step(n: number): Uint8Array {
  return oracleRotation(seed(n - 1), seed(n), n);
}

function steps(from: number, to: number): Uint8Array[] {
  return Array.from({ length: to - from + 1 }, (_, index) => step(from + index));
}

function bundle(serverSeed: Uint8Array, statements: readonly Uint8Array[]): string {
  const rotations = concatBytes(u8(statements.length), ...statements);
  return toHex(oracleBundle({ ...rest, serverSeed, rotations }));
}

interface Met {
  readonly pin?: Uint8Array;
  readonly sequence?: number;
  readonly server: Uint8Array;
  readonly statements: readonly Uint8Array[];
}

function met(comment: string, { pin = seed(0), sequence = 0, server, statements }: Met) {
  return { comment, pin: keyOf(pin), sequence, message: bundle(server, statements) };
}

export function makeRotationVectors() {
  return {
    description:
      "Bundles as a client meets them that pins `pin`, known by `sequence`. followed ones lead to `key` and `newSequence` and leave `former` behind; refused ones are `wrongIdentity`.",
    followed: followed(),
    refused: [...brokenChains(), ...brokenStatements()],
  };
}

function followed() {
  const good = (comment: string, first: number, last: number, options: Met) => ({
    ...met(comment, options),
    key: keyOf(options.server),
    newSequence: last,
    former: Array.from({ length: last - first + 1 }, (_, index) => keyOf(seed(first - 1 + index))),
  });
  return [
    good("one rotation", 1, 1, { server: seed(1), statements: steps(1, 1) }),
    good("three rotations", 1, 3, { server: seed(3), statements: steps(1, 3) }),
    good("eight rotations", 1, 8, { server: seed(8), statements: steps(1, 8) }),
    good("the last two of eight", 7, 8, {
      pin: seed(6),
      sequence: 6,
      server: seed(8),
      statements: steps(1, 8),
    }),
    good("a pin from a link that was made after two rotations", 3, 3, {
      pin: seed(2),
      server: seed(3),
      statements: steps(1, 3),
    }),
    good("a broken statement before that of the pinned key", 2, 2, {
      pin: seed(1),
      sequence: 1,
      server: seed(2),
      statements: [oracleRotation(seed(0), seed(1), 1, { old: stranger }), step(2)],
    }),
  ];
}

function brokenChains() {
  const refuse = (comment: string, statements: readonly Uint8Array[], options: Partial<Met> = {}) =>
    met(comment, { server: seed(2), statements, ...options });
  return [
    refuse("no rotations", []),
    refuse("rotations of another server", [oracleRotation(stranger, seed(2), 1)]),
    refuse("the last eight of nine", steps(2, 9), { server: seed(9) }),
    refuse("out of order", [step(2), step(1)]),
    refuse("a gap", [step(1), step(3)], { server: seed(3) }),
    refuse("a statement of another key in between", [
      step(1),
      oracleRotation(stranger, seed(2), 2),
      oracleRotation(seed(1), seed(2), 3),
    ]),
    refuse("a loop to the pinned key", [
      step(1),
      oracleRotation(seed(1), seed(0), 2),
      oracleRotation(seed(0), seed(2), 3),
    ]),
    refuse("a statement for the old key itself", [
      oracleRotation(seed(0), seed(0), 1),
      oracleRotation(seed(0), seed(2), 2),
    ]),
    refuse("a loop that ends at the pinned key's successor", [
      step(1),
      step(2),
      oracleRotation(seed(2), seed(1), 3),
      oracleRotation(seed(1), seed(2), 4),
    ]),
    refuse("that end at a key which is not the server's", [step(1)]),
    refuse("that go on behind the server's key", steps(1, 3)),
    refuse("the sequence of the pin again", [oracleRotation(seed(1), seed(2), 1)], {
      pin: seed(1),
      sequence: 1,
    }),
    refuse("a sequence below the pin's", [oracleRotation(seed(1), seed(2), 1)], {
      pin: seed(1),
      sequence: 5,
    }),
    refuse("a sequence that stays", [step(1), oracleRotation(seed(1), seed(2), 1)]),
    refuse("a sequence that falls", [
      oracleRotation(seed(0), seed(1), 2),
      oracleRotation(seed(1), seed(2), 1),
    ]),
    refuse("the former key of a pin that has moved", steps(1, 2), {
      pin: seed(2),
      sequence: 2,
      server: seed(0),
    }),
  ];
}

function brokenStatements() {
  const refuse = (comment: string, statement: Uint8Array) =>
    met(comment, { server: seed(1), statements: [statement] });
  const signed = (signers: Parameters<typeof oracleRotation>[3]) =>
    oracleRotation(seed(0), seed(1), 1, signers);
  const swapped = signed({});
  swapped.set(signed({}).subarray(132), 68);
  swapped.set(signed({}).subarray(68, 132), 132);
  return [
    refuse("not signed by the old key", signed({ old: stranger })),
    refuse("not signed by the new key", signed({ new: stranger })),
    refuse("signed by the new key alone", signed({ old: seed(1) })),
    refuse("signed by the old key alone", signed({ new: seed(0) })),
    refuse("the signatures in each other's place", swapped),
    refuse("signed for another sequence", signed({ seq: 2 })),
    refuse("a sequence of 0", oracleRotation(seed(0), seed(1), 0)),
  ];
}
