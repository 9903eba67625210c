import { unreachable } from "../../proto/index.ts";
import { concat, EMPTY } from "./bytes.ts";
import { basicMatches } from "./credentials.ts";
import { type Framing, framingOf, uploadFilter } from "./http-body.ts";
import { asksForWebSocket, forwardedHead } from "./http-forward.ts";
import { HeadReader, parseRequestLine, type RequestHead, valuesOf } from "./http-head.ts";
import { isRepeatable, mayKeepApplication, mayShareOrigin } from "./http-keep.ts";
import { CONNECT_ESTABLISHED, dialRefusal, errorReply, HttpRefusal } from "./http-reply.ts";
import { type AbsoluteTarget, type Authority, parseTarget } from "./http-target.ts";
import type {
  ConnectStep,
  ExchangeTerms,
  Negotiation,
  NegotiationOptions,
  NegotiationStep,
  ProxyCredentials,
} from "./negotiation.ts";

/** What a method can start with (RFC 9110 section 5.6.2, tchar). */
const TOKEN_START = /[!#$%&'*+\-.^_`|~0-9a-z]/i;
const CR = 0x0d;
const LF = 0x0a;

export function startsHttp(byte: number): boolean {
  return TOKEN_START.test(String.fromCharCode(byte));
}

/** HTTP/1.0 and 1.1 (RFC 9112): CONNECT, and requests for absolute http:// URLs. Reads one request. */
export class HttpNegotiation implements Negotiation {
  readonly #options: NegotiationOptions;
  readonly #reader = new HeadReader(parseRequestLine);

  constructor(options: NegotiationOptions) {
    this.#options = options;
  }

  push(bytes: Uint8Array): NegotiationStep {
    const step = this.#reader.push(bytes);
    switch (step.kind) {
      case "more":
        return { kind: "more", reply: EMPTY };
      case "refused":
        return reject(step.refusal, undefined);
      case "head": {
        const outcome = serve(step.head, step.rest, this.#options);
        return outcome instanceof HttpRefusal ? reject(outcome, step.head.method) : outcome;
      }
      default:
        return unreachable(step);
    }
  }
}

/** The same, behind another request of the connection. One empty line before it is borne (RFC 9112 section 2.2). */
export class LaterHttpNegotiation implements Negotiation {
  readonly #http: HttpNegotiation;
  #next: "start" | "lf" | "request" = "start";

  constructor(options: NegotiationOptions) {
    this.#http = new HttpNegotiation(options);
  }

  push(bytes: Uint8Array): NegotiationStep {
    let used = 0;
    for (let [byte] = bytes; byte !== undefined && this.#next !== "request"; byte = bytes[used]) {
      const expected = this.#next === "start" ? CR : LF;
      if (byte === expected) {
        used += 1;
        this.#next = this.#next === "start" ? "lf" : "request";
      } else if (this.#next === "start" && startsHttp(byte)) this.#next = "request";
      else return reject(new HttpRefusal(400, "what follows a request is no HTTP request"), undefined);
    }
    return this.#http.push(bytes.subarray(used));
  }
}

function serve(head: RequestHead, rest: Uint8Array, options: NegotiationOptions): ConnectStep | HttpRefusal {
  // RFC 9112 section 3.2 refuses a missing Host too. It is missing in simple tools' CONNECTs, and nobody reads it.
  if (valuesOf(head, "host").length > 1) return new HttpRefusal(400, "more than one Host");
  const target = parseTarget(head);
  if (target instanceof HttpRefusal) return target;
  const unauthorised = authorise(head, options.credentials);
  if (unauthorised !== undefined) return unauthorised;
  const framing = framingOf(head);
  if (framing instanceof HttpRefusal) return framing;
  switch (target.kind) {
    case "connect":
      return tunnel(target.authority, framing, rest);
    case "absolute":
      return forward({ head, target, framing, rest, keep: options.keepOrigins === true });
    default:
      return unreachable(target);
  }
}

function tunnel(authority: Authority, framing: Framing, rest: Uint8Array): ConnectStep | HttpRefusal {
  // RFC 9110 section 9.3.6: what follows a CONNECT is the tunnel, never a body.
  if (framing.kind !== "none") return new HttpRefusal(400, "CONNECT with a body");
  return {
    kind: "connect",
    protocol: "connect",
    destination: authority.destination,
    early: rest,
    answer: (result) =>
      result === "connected"
        ? CONNECT_ESTABLISHED
        : errorReply(dialRefusal(result, authority.text), "CONNECT"),
  };
}

interface PlainRequest {
  readonly head: RequestHead;
  readonly target: AbsoluteTarget;
  readonly framing: Framing;
  readonly rest: Uint8Array;
  /** Connections to origins are kept. */
  readonly keep: boolean;
}

function forward({ head, target, framing, rest, keep }: PlainRequest): ConnectStep {
  const upgrade = asksForWebSocket(head, framing);
  const shares = keep && !upgrade && mayShareOrigin(head);
  const use = upgrade ? "websocket" : shares ? "keep" : "close";
  const upload = uploadFilter(framing);
  const body = upgrade ? rest : upload.push(rest).forward;
  const { destination, text } = target.authority;
  const { method } = head;
  const exchange: ExchangeTerms = {
    method,
    upload,
    behind: rest.subarray(body.length),
    sharesOrigin: shares,
    isRepeatable: shares && isRepeatable(head, framing),
    keepsApplication: mayKeepApplication(head),
  };
  return {
    kind: "connect",
    protocol: "http",
    destination,
    early: concat(forwardedHead(head, target, use), body),
    ...(upgrade ? {} : { exchange }),
    answer: (result) => (result === "connected" ? EMPTY : errorReply(dialRefusal(result, text), method)),
  };
}

function authorise(head: RequestHead, credentials: ProxyCredentials | undefined): HttpRefusal | undefined {
  if (credentials === undefined) return undefined;
  const [given, ...more] = valuesOf(head, "proxy-authorization");
  const matches = given !== undefined && more.length === 0 && basicMatches(credentials, given);
  return matches ? undefined : new HttpRefusal(407, "the proxy's user and password are required");
}

function reject(refusal: HttpRefusal, method: string | undefined): NegotiationStep {
  return {
    kind: "reject",
    reply: errorReply(refusal, method),
    reason: `${refusal.status} ${refusal.sentence}`,
  };
}
