import type { Host } from "../../proto/index.ts";
import { EMPTY, Input, textOf } from "./bytes.ts";
import { hostFromAddress, hostFromText } from "./host.ts";
import { NAME_MAX_BYTES, SOCKS4_MAX_BYTES, SOCKS4_USER_MAX_BYTES } from "./limits.ts";
import type { ConnectResult, Negotiation, NegotiationStep, ProxyCredentials } from "./negotiation.ts";

const COMMAND_CONNECT = 1;
const FIXED_BYTES = 8;

/** The only codes there are, besides those about identd. */
const REPLY = { granted: 0x5a, rejected: 0x5b, wrongUser: 0x5d } as const;

/**
 * SOCKS4 and SOCKS4a, CONNECT only: version, command, port, IPv4 address, user id, NUL; with the address 0.0.0.x
 * a name and another NUL follow.
 */
export class Socks4Negotiation implements Negotiation {
  readonly #credentials: ProxyCredentials | undefined;
  readonly #input = new Input(SOCKS4_MAX_BYTES);

  constructor(credentials: ProxyCredentials | undefined) {
    this.#credentials = credentials;
  }

  push(bytes: Uint8Array): NegotiationStep {
    const before = this.#input.length;
    this.#input.append(bytes);
    const request = readRequest(this.#input.bytes);
    if (request === "incomplete") return { kind: "more", reply: EMPTY };
    if (request === "tooLong") return reject(REPLY.rejected, "user id or name too long");
    // Anybody can claim a user id, and SOCKS4 has no password to prove it with.
    if (this.#credentials !== undefined) return reject(REPLY.wrongUser, "SOCKS4 cannot send the password");
    if (request.command !== COMMAND_CONNECT) {
      return reject(REPLY.rejected, `command ${request.command} is not supported`);
    }
    if (request.host === undefined) return reject(REPLY.rejected, "not a host name");
    if (request.port === 0) return reject(REPLY.rejected, "port 0");
    return {
      kind: "connect",
      protocol: "socks4",
      destination: { host: request.host, port: request.port },
      early: bytes.subarray(request.used - before),
      answer: (result: ConnectResult) => replyOf(result === "connected" ? REPLY.granted : REPLY.rejected),
    };
  }
}

interface Request {
  used: number;
  command: number;
  port: number;
  /** Undefined for a name that no host can have. */
  host: Host | undefined;
}

function readRequest(bytes: Uint8Array): Request | "incomplete" | "tooLong" {
  if (bytes.length < FIXED_BYTES) return "incomplete";
  const userEnd = stringEnd(bytes, FIXED_BYTES, SOCKS4_USER_MAX_BYTES);
  if (typeof userEnd === "string") return userEnd;
  const [, command = 0, portHigh = 0, portLow = 0] = bytes;
  const address = bytes.subarray(4, FIXED_BYTES);
  const port = portHigh * 256 + portLow;
  if (!announcesName(address)) return { used: userEnd + 1, command, port, host: hostFromAddress(address) };
  const nameEnd = stringEnd(bytes, userEnd + 1, NAME_MAX_BYTES);
  if (typeof nameEnd === "string") return nameEnd;
  const host = hostFromText(textOf(bytes.subarray(userEnd + 1, nameEnd)));
  return { used: nameEnd + 1, command, port, host };
}

/** SOCKS4a: 0.0.0.x with x not 0, which can be nobody's address. */
function announcesName([a, b, c, d]: Uint8Array): boolean {
  return a === 0 && b === 0 && c === 0 && d !== 0;
}

/** Where the NUL of the string at `start` is. */
function stringEnd(bytes: Uint8Array, start: number, maxBytes: number): number | "incomplete" | "tooLong" {
  const window = bytes.subarray(start, start + maxBytes + 1);
  const length = window.indexOf(0);
  if (length !== -1) return start + length;
  return window.length > maxBytes ? "tooLong" : "incomplete";
}

function reject(code: number, reason: string): NegotiationStep {
  return { kind: "reject", reply: replyOf(code), reason };
}

/** Version 0, code, and port and address that nobody reads. */
function replyOf(code: number): Uint8Array {
  return Uint8Array.of(0, code, 0, 0, 0, 0, 0, 0);
}
