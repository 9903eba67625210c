import { concatBytes, label } from "./crypto/octets.ts";
import { defaultPrimitives } from "./crypto/primitives/index.ts";
import { encodeBase64url } from "./text.ts";

const TUNNEL_LABEL = label("rvpn/2 tunnel");

/**
 * What a server files a tunnel under: the client's proven identity key (32 bytes) and H(L"rvpn/2 tunnel" ‖ secret), as
 * text. The same secret under another identity is simply another tunnel, so a stolen secret alone resumes nothing.
 */
export function tunnelKey(clientKey: Uint8Array, secret: Uint8Array): string {
  const hash = defaultPrimitives.sha256(concatBytes(TUNNEL_LABEL, secret));
  return encodeBase64url(concatBytes(clientKey, hash));
}
