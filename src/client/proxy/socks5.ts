import { type Destination, unreachable } from "../../proto/index.ts";
import { concat, EMPTY, Input, textOf } from "./bytes.ts";
import { passwordMatches } from "./credentials.ts";
import { hostFromAddress, hostFromText } from "./host.ts";
import { SOCKS5_MAX_BYTES } from "./limits.ts";
import type { ConnectResult, Negotiation, NegotiationStep, ProxyCredentials } from "./negotiation.ts";

const VERSION = 5;
const METHOD = { none: 0, password: 2, unacceptable: 0xff } as const;
/** RFC 1929 has a version of its own. */
const PASSWORD_VERSION = 1;
const COMMAND_CONNECT = 1;
const ADDRESS = { ipv4: 1, name: 3, ipv6: 4 } as const;

/** RFC 1928 section 6. */
const REPLY = {
  generalFailure: 1,
  hostUnreachable: 4,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const;

/**
 * RFC 1928 has no code for names. Host unreachable is what Tor answers for both failures of a look-up, and what
 * applications show as a name that did not resolve; a general failure would blame the proxy.
 */
const REPLY_OF: Readonly<Record<ConnectResult, number>> = {
  connected: 0,
  general: REPLY.generalFailure,
  lost: REPLY.generalFailure,
  policy: 2,
  netUnreachable: 3,
  noTunnel: 3,
  hostUnreachable: REPLY.hostUnreachable,
  nameNotFound: REPLY.hostUnreachable,
  nameServerFailed: REPLY.hostUnreachable,
  refused: 5,
  timeout: 6,
  overloaded: REPLY.generalFailure,
};

type Phase = "greeting" | "password" | "request";

/** What the bytes of one phase amount to. `used` is the length of the message that was read. */
type Progress =
  | { kind: "incomplete" }
  | { kind: "next"; used: number; phase: Phase; reply: Uint8Array }
  | { kind: "destination"; used: number; destination: Destination }
  | { kind: "reject"; reply: Uint8Array; reason: string };

const INCOMPLETE: Progress = { kind: "incomplete" };

/** SOCKS5 (RFC 1928), CONNECT only, with user and password (RFC 1929) if credentials are set. */
export class Socks5Negotiation implements Negotiation {
  readonly #credentials: ProxyCredentials | undefined;
  readonly #input = new Input(SOCKS5_MAX_BYTES);
  #used = 0;
  #phase: Phase = "greeting";

  constructor(credentials: ProxyCredentials | undefined) {
    this.#credentials = credentials;
  }

  push(bytes: Uint8Array): NegotiationStep {
    const before = this.#input.length;
    this.#input.append(bytes);
    let owed: Uint8Array = EMPTY;
    for (;;) {
      const progress = this.#read(this.#input.bytes.subarray(this.#used));
      switch (progress.kind) {
        case "incomplete":
          return { kind: "more", reply: owed };
        case "next":
          this.#used += progress.used;
          this.#phase = progress.phase;
          owed = concat(owed, progress.reply);
          break;
        case "reject":
          return { ...progress, reply: concat(owed, progress.reply) };
        case "destination":
          this.#used += progress.used;
          return connectStep(progress.destination, bytes.subarray(this.#used - before), owed);
        default:
          return unreachable(progress);
      }
    }
  }

  #read(bytes: Uint8Array): Progress {
    switch (this.#phase) {
      case "greeting":
        return readGreeting(bytes, this.#credentials === undefined ? METHOD.none : METHOD.password);
      case "password":
        return readPassword(bytes, this.#credentials);
      case "request":
        return readRequest(bytes);
      default:
        return unreachable(this.#phase);
    }
  }
}

/** A client that sends its request without waiting gets the replies `owed` to its greeting along with the answer. */
function connectStep(destination: Destination, early: Uint8Array, owed: Uint8Array): NegotiationStep {
  return {
    kind: "connect",
    protocol: "socks5",
    destination,
    early,
    answer: (result) => concat(owed, replyOf(REPLY_OF[result])),
  };
}

/** RFC 1928 section 3: version, number of methods, methods. */
function readGreeting(bytes: Uint8Array, wanted: number): Progress {
  const [, count] = bytes;
  if (count === undefined || bytes.length < 2 + count) return INCOMPLETE;
  if (!bytes.subarray(2, 2 + count).includes(wanted)) {
    const reason =
      wanted === METHOD.password ? "no password offered" : "only methods with authentication offered";
    return { kind: "reject", reply: Uint8Array.of(VERSION, METHOD.unacceptable), reason };
  }
  const phase = wanted === METHOD.password ? "password" : "request";
  return { kind: "next", used: 2 + count, phase, reply: Uint8Array.of(VERSION, wanted) };
}

/** RFC 1929 section 2: version, user length, user, password length, password. */
function readPassword(bytes: Uint8Array, credentials: ProxyCredentials | undefined): Progress {
  const [version, userLength] = bytes;
  if (version !== undefined && version !== PASSWORD_VERSION)
    return wrongPassword("password message of an unknown version");
  if (userLength === undefined) return INCOMPLETE;
  const userEnd = 2 + userLength;
  const passwordLength = bytes[userEnd];
  if (passwordLength === undefined) return INCOMPLETE;
  const used = userEnd + 1 + passwordLength;
  if (bytes.length < used) return INCOMPLETE;
  const user = bytes.subarray(2, userEnd);
  const password = bytes.subarray(userEnd + 1, used);
  if (credentials === undefined || !passwordMatches(credentials, user, password)) {
    return wrongPassword("wrong user or password");
  }
  return { kind: "next", used, phase: "request", reply: Uint8Array.of(PASSWORD_VERSION, 0) };
}

function wrongPassword(reason: string): Progress {
  return { kind: "reject", reply: Uint8Array.of(PASSWORD_VERSION, 1), reason };
}

/** RFC 1928 section 4: version, command, reserved, address type, address, port. */
function readRequest(bytes: Uint8Array): Progress {
  const [version, command, , type] = bytes;
  if (version !== undefined && version !== VERSION)
    return refuse(REPLY.generalFailure, "request of an unknown version");
  if (type === undefined) return INCOMPLETE;
  if (command !== COMMAND_CONNECT)
    return refuse(REPLY.commandNotSupported, `command ${command} is not supported`);
  const address = addressSpan(type, bytes[4]);
  if (address === "unknown")
    return refuse(REPLY.addressTypeNotSupported, `address type ${type} is not supported`);
  if (address === "incomplete" || bytes.length < address.end + 2) return INCOMPLETE;
  return readDestination(bytes, type, address);
}

interface Span {
  start: number;
  end: number;
}

function addressSpan(type: number, nameLength: number | undefined): Span | "incomplete" | "unknown" {
  switch (type) {
    case ADDRESS.ipv4:
      return { start: 4, end: 8 };
    case ADDRESS.ipv6:
      return { start: 4, end: 20 };
    case ADDRESS.name:
      return nameLength === undefined ? "incomplete" : { start: 5, end: 5 + nameLength };
    default:
      return "unknown";
  }
}

function readDestination(bytes: Uint8Array, type: number, { start, end }: Span): Progress {
  const address = bytes.subarray(start, end);
  const host = type === ADDRESS.name ? hostFromText(textOf(address)) : hostFromAddress(address);
  // A name that no host can have is a name that does not exist, and is answered like one.
  if (host === undefined) return refuse(REPLY.hostUnreachable, "not a host name");
  const port = (bytes[end] ?? 0) * 256 + (bytes[end + 1] ?? 0);
  if (port === 0) return refuse(REPLY.generalFailure, "port 0");
  return { kind: "destination", used: end + 2, destination: { host, port } };
}

function refuse(code: number, reason: string): Progress {
  return { kind: "reject", reply: replyOf(code), reason };
}

/** RFC 1928 section 6. The bound address is the far server's and nobody's business: zeros, as ssh answers. */
function replyOf(code: number): Uint8Array {
  return Uint8Array.of(VERSION, code, 0, ADDRESS.ipv4, 0, 0, 0, 0, 0, 0);
}
