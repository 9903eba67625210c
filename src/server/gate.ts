import { checkGateToken, encodeBase64url } from "../proto/index.ts";
import { SERVER_LIMITS } from "./server-limits.ts";

/**
 * Decides which requests may become a WebSocket: those that carry a gate token in `Cookie: sid=…`, made with the
 * current or an older gate key and not used before. Every request costs one token check, so that none is faster
 * than another (PROTOCOL.md section 3).
 */
export class Gate {
  readonly #gateKeys: () => readonly Uint8Array[];
  readonly #path: string;
  // Two generations: a nonce is remembered for at least one of them, and memory stays bounded.
  #recent = new Set<string>();
  #older = new Set<string>();

  constructor(options: { gateKeys: () => readonly Uint8Array[]; path: string }) {
    this.#gateKeys = options.gateKeys;
    this.#path = options.path;
  }

  /** True when `request` may be upgraded. A token opens once. */
  admits(request: Request): boolean {
    const nonce = checkGateToken(sessionCookie(request) ?? "", this.#gateKeys());
    if (nonce === undefined || !this.#isUpgrade(request)) return false;
    return this.#isFresh(encodeBase64url(nonce));
  }

  #isUpgrade(request: Request): boolean {
    const upgrade = request.headers.get("upgrade")?.toLowerCase() === "websocket";
    return upgrade && request.method === "GET" && URL.parse(request.url)?.pathname === this.#path;
  }

  #isFresh(nonce: string): boolean {
    if (this.#recent.has(nonce) || this.#older.has(nonce)) return false;
    this.#recent.add(nonce);
    if (this.#recent.size >= SERVER_LIMITS.noncesRemembered) {
      this.#older = this.#recent;
      this.#recent = new Set();
    }
    return true;
  }
}

/** The value of the cookie `sid` (RFC 6265 section 4.2). */
export function sessionCookie(request: Request): string | undefined {
  for (const pair of request.headers.get("cookie")?.split(";") ?? []) {
    const [name, value] = pair.trim().split("=", 2);
    if (name === "sid") return value;
  }
  return undefined;
}
