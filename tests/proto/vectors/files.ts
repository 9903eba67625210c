import { defaultPrimitives, type Primitives } from "../../../src/proto/crypto/primitives/index.ts";
import { makeBundleVectors } from "./make-bundles.ts";
import { makeHandshakeVectors } from "./make-handshakes.ts";
import { makeRatchetVectors } from "./make-ratchets.ts";
import { makeRotationVectors } from "./make-rotations.ts";
import { makeGateVectors, makeIdentityVectors, makeLinkVectors } from "./make-texts.ts";

/** The vector files of handshake, ratchet and texts, by name in tests/vectors, and what makes each. */
const MAKERS: Record<string, (primitives: Primitives) => unknown> = {
  "identity.json": makeIdentityVectors,
  "link.json": makeLinkVectors,
  "gate.json": makeGateVectors,
  "bundle.json": makeBundleVectors,
  "rotation.json": makeRotationVectors,
  "handshake.json": makeHandshakeVectors,
  "ratchet.json": makeRatchetVectors,
};

/** The text of each file as it should be. */
export function vectorFiles(primitives: Primitives = defaultPrimitives): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(MAKERS).map(([name, make]) => [
      name,
      `${JSON.stringify(make(primitives), undefined, 2)}\n`,
    ]),
  );
}
