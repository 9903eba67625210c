import { ProtocolError } from "../errors.ts";
import type { Suite } from "./primitives/index.ts";

/** The version of the protocol that this code speaks, in bundles and client messages. */
export const PROTOCOL_VERSION = 2;

/** Wire numbers of the suites. */
export const SUITE_CODES = { "aes-256-gcm": 1, "chacha20-poly1305": 2 } as const satisfies Record<
  Suite,
  number
>;

/** The suite of a wire number. ProtocolError unsupported. */
export function suiteOfCode(code: number): Suite {
  switch (code) {
    case SUITE_CODES["aes-256-gcm"]:
      return "aes-256-gcm";
    case SUITE_CODES["chacha20-poly1305"]:
      return "chacha20-poly1305";
    default:
      throw new ProtocolError("unsupported", `suite ${code}`);
  }
}
