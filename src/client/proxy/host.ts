import type { Host } from "../../proto/index.ts";
import { parseIp } from "../../runtime/address.ts";
import { NAME_MAX_BYTES } from "./limits.ts";

/**
 * Letters, digits and hyphens (RFC 1123 section 2.1), and the underscore that real names contain. Anything else could
 * only mean something to a resolver or a log that it should not mean.
 */
const NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/i;

/** A host written as text: an IP literal without brackets becomes an address, so that no resolver ever sees it. */
export function hostFromText(text: string): Host | undefined {
  if (text.length > NAME_MAX_BYTES) return undefined;
  const address = parseIp(text);
  if (address !== undefined) return hostFromAddress(address);
  return NAME.test(text) ? { kind: "name", name: text } : undefined;
}

/** 4 or 16 bytes in network order. Copies them, so that no connection's buffer is kept alive by its destination. */
export function hostFromAddress(address: Uint8Array): Host {
  return { kind: address.length === 4 ? "ipv4" : "ipv6", address: address.slice() };
}
