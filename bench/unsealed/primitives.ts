import { nativePrimitives as sealing } from "../../src/proto/crypto/primitives/native.ts";
import { type Primitives, TAG_BYTES } from "../../src/proto/crypto/primitives/types.ts";

/**
 * What the product has, but nothing is encrypted or checked: bytes are copied, as they would be into ciphertext. For the
 * benchmark alone, to see what the AEAD costs; the executable built with it talks to nobody but its like.
 */
export const nativePrimitives: Primitives = {
  ...sealing,
  sealParts: (_suite, _key, _ad, frames, chunk) => ({
    frames: copyOf(frames),
    chunk: chunk === undefined ? undefined : copyOf(chunk),
    tag: new Uint8Array(TAG_BYTES),
  }),
  openParts: (_suite, _key, _ad, { frames, chunk }) => ({
    frames: copyOf(frames),
    chunk: chunk === undefined ? undefined : copyOf(chunk),
  }),
};

/** Not `slice`: that of a Buffer is a view, and what was sent or opened is given back. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
