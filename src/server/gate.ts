import { checkGateToken, encodeBase64url } from "../proto/index.ts";
import { SERVER_LIMITS } from "./server-limits.ts";
import { pathOf } from "./site/target.ts";

const NO_NONCE = new Uint8Array(16);
const WEBSOCKET_VERSION = "13";
/** 16 bytes in base64 (RFC 6455 section 4.1). */
const KEY_FORM = /^[A-Za-z0-9+/]{22}==$/;

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

  /**
   * True when `request` may be upgraded. A token opens once. Everything is looked at for every request, so that one
   * whose token is right but used up takes as long as one without.
   */
  admits(request: Request): boolean {
    const token = sessionCookie(request) ?? "";
    const nonce = checkGateToken(token, this.#gateKeys());
    const name = encodeBase64url(nonce ?? NO_NONCE);
    const isFresh = !this.#recent.has(name) && !this.#older.has(name);
    const isUpgrade = this.#isUpgrade(request);
    if (nonce === undefined || !isFresh || !isUpgrade) return false;
    this.#remember(name);
    return true;
  }

  // No && before the parts are there: a request that fails the first must not be spared the others.
  #isUpgrade({ method, headers, url }: Request): boolean {
    const isHere = pathOf(url) === this.#path;
    const upgrade = (headers.get("upgrade") ?? "").toLowerCase() === "websocket";
    const version = headers.get("sec-websocket-version") === WEBSOCKET_VERSION;
    const key = KEY_FORM.test(headers.get("sec-websocket-key") ?? "");
    return isHere && upgrade && version && key && method === "GET";
  }

  #remember(name: string): void {
    this.#recent.add(name);
    if (this.#recent.size < SERVER_LIMITS.noncesRemembered) return;
    this.#older = this.#recent;
    this.#recent = new Set();
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
