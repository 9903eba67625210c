/**
 * A text that somebody typed or pasted (key, link) is not what it should be. The message says what is wrong with it in
 * words fit for the operator, and never repeats a secret part.
 */
export class TextFormatError extends Error {
  override readonly name = "TextFormatError";
}

/** base64url without padding (RFC 4648 section 5). */
export function encodeBase64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/**
 * The bytes of a base64url text without padding, or undefined if `text` is not the one encoding of any bytes: RFC 4648
 * section 3.5 lets decoders ignore set bits behind the last byte, which would give one key many spellings.
 */
export function decodeBase64url(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
  return encodeBase64url(bytes) === text ? bytes : undefined;
}
