import { encodeBundle, type Rotation, signBundle } from "../../../src/proto/crypto/bundle.ts";
import { identityFromSeed } from "../../../src/proto/crypto/identity.ts";
import { concatBytes } from "../../../src/proto/crypto/octets.ts";
import type { Primitives } from "../../../src/proto/crypto/primitives/index.ts";
import type { ProtocolErrorName } from "../../../src/proto/errors.ts";
import { flipBit, hex, repeated, toHex } from "../support/bytes.ts";
import { type BundleFields, oracleBundle } from "../support/oracle.ts";
import { seededRandom } from "../support/random.ts";

// Bundles, good ones as the code encodes them, bad ones as only the oracle can.

const random = seededRandom("rvpn/2 bundle vectors");
const server = identityFromSeed(random(32));
const other = identityFromSeed(random(32));
const fields: BundleFields = {
  versions: [2],
  suites: [1, 2],
  boot: random(16),
  serverSeed: server.seed,
  prekey: random(32),
  kemPublicKey: random(1184),
  padding: random(5),
};
const rotation: Rotation = {
  oldKey: other.publicKey,
  newKey: server.publicKey,
  sequence: 7,
  oldSignature: random(64),
  newSignature: random(64),
};
const noise = random(2_048);

export function makeBundleVectors(primitives: Primitives) {
  return {
    description:
      "Bundles as a client meets them that pins the key of serverSeed, speaks version 2 and both suites. bad ones are refused with `error`; one is refused only when the agreements are made.",
    serverSeed: toHex(server.seed),
    serverKey: toHex(server.publicKey),
    bundles: [
      good(primitives, "as a server sends it", {}),
      good(primitives, "one suite, no padding", { suites: [2], padding: repeated(0, 0) }),
      good(primitives, "the longest padding", { padding: noise.slice(0, 1023) }),
      good(primitives, "later versions and unknown suites beside ours", {
        versions: [1, 2, 9],
        suites: [1, 77, 255],
      }),
      good(primitives, "two rotations", {}, [rotation, { ...rotation, sequence: 0xffffffff }]),
    ],
    bad: [...badForms(), ...badContents()],
  };
}

function good(
  primitives: Primitives,
  comment: string,
  change: Partial<BundleFields>,
  rotations: readonly Rotation[] = [],
) {
  const { versions, suites, boot, prekey, kemPublicKey, padding } = { ...fields, ...change };
  const serverKey = server.publicKey;
  const bundle = { versions, suites, boot, serverKey, rotations, prekey, kemPublicKey, padding };
  return {
    comment,
    versions: toHex(Uint8Array.from(versions)),
    suites: toHex(Uint8Array.from(suites)),
    boot: toHex(boot),
    rotations: rotations.map((each) => ({
      oldKey: toHex(each.oldKey),
      newKey: toHex(each.newKey),
      sequence: each.sequence,
      oldSignature: toHex(each.oldSignature),
      newSignature: toHex(each.newSignature),
    })),
    prekey: toHex(prekey),
    kemPublicKey: toHex(kemPublicKey),
    padding: toHex(padding),
    message: toHex(signBundle(primitives, server, encodeBundle(bundle))),
  };
}

interface BadBundle {
  readonly comment: string;
  readonly message: string;
  readonly error: ProtocolErrorName;
}

function bad(error: ProtocolErrorName, comment: string, message: Uint8Array): BadBundle {
  return { comment, message: toHex(message), error };
}

function signed(change: Partial<BundleFields>): Uint8Array {
  return oracleBundle({ ...fields, ...change });
}

/** Bundles that do not decode, although each is signed. */
function badForms(): BadBundle[] {
  const message = signed({});
  const nine = Array.from({ length: 9 }, (_, index) => index + 1);
  return [
    bad("malformed", "empty", repeated(0, 0)),
    bad("malformed", "cut short", message.subarray(0, -1)),
    bad("malformed", "a byte behind the signature", concatBytes(message, repeated(0, 1))),
    bad("malformed", "a length one too small", signed({ length: message.length - 65 })),
    bad("malformed", "no versions", signed({ versions: [] })),
    bad("malformed", "no suites", signed({ suites: [] })),
    bad("tooLarge", "nine versions", signed({ versions: nine })),
    bad("tooLarge", "nine suites", signed({ suites: nine })),
    bad("notCanonical", "versions out of order", signed({ versions: [3, 2] })),
    bad("notCanonical", "a suite twice", signed({ suites: [1, 1] })),
    bad("malformed", "a rotation announced and not there", signed({ rotations: Uint8Array.of(8) })),
    bad("tooLarge", "nine rotations", signed({ rotations: Uint8Array.of(9) })),
    bad("tooLarge", "1,024 bytes of padding", signed({ padding: noise.subarray(0, 1024) })),
    bad("tooLarge", "longer than any bundle", concatBytes(message, repeated(0, 4_096))),
  ];
}

/** Bundles that decode and are still not to be used. */
function badContents(): BadBundle[] {
  const message = signed({});
  const unsigned = (serverKey: string) => signed({ serverKey: hex(serverKey) });
  return [
    bad("badSignature", "a changed boot", flipBit(message, 8 * 10)),
    bad("badSignature", "changed padding", flipBit(message, 8 * (message.length - 65))),
    bad("badSignature", "a changed signature", flipBit(message, 8 * message.length - 8)),
    bad(
      "badSignature",
      "the pinned key over another's signature",
      signed({ serverSeed: other.seed, serverKey: server.publicKey }),
    ),
    bad("badSignature", "a server key of small order", unsigned(`01${"00".repeat(31)}`)),
    bad("badSignature", "a server key that is not canonical", unsigned(`f0${"ff".repeat(30)}7f`)),
    bad("wrongIdentity", "a sound bundle of another server", signed({ serverSeed: other.seed })),
    bad("unsupported", "another version only", signed({ versions: [1, 3] })),
    bad("unsupported", "unknown suites only", signed({ suites: [3, 200] })),
    bad("badKey", "a prekey of small order", signed({ prekey: repeated(0, 32) })),
  ];
}
