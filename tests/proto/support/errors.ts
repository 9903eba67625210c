import { ProtocolError, type ProtocolErrorName } from "../../../src/proto/errors.ts";

/** The reason of the ProtocolError that `action` throws; "none" if it throws nothing. Other errors pass through. */
export function protocolErrorOf(action: () => unknown): ProtocolErrorName | "none" {
  try {
    action();
    return "none";
  } catch (error) {
    if (error instanceof ProtocolError) return error.reason;
    throw error;
  }
}
