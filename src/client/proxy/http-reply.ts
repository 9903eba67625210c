import { bytesOf, EMPTY } from "./bytes.ts";
import type { ConnectResult } from "./negotiation.ts";

const REASON_PHRASES = {
  400: "Bad Request",
  403: "Forbidden",
  407: "Proxy Authentication Required",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
} as const;

export type HttpErrorStatus = keyof typeof REASON_PHRASES;

/**
 * Why a request is not served: a value, never thrown. `sentence` goes to the application, so it repeats nothing of the
 * request that has not been parsed: a page that makes a browser send it must not choose what the answer says.
 */
export class HttpRefusal {
  readonly status: HttpErrorStatus;
  readonly sentence: string;

  constructor(status: HttpErrorStatus, sentence: string) {
    this.status = status;
    this.sentence = sentence;
  }
}

export const CONNECT_ESTABLISHED = bytesOf("HTTP/1.1 200 Connection established\r\n\r\n");

const DIAL_FAILED: Readonly<Record<Exclude<ConnectResult, "connected">, readonly [HttpErrorStatus, string]>> =
  {
    general: [502, "the server could not connect"],
    policy: [403, "the server's policy does not allow this destination"],
    netUnreachable: [502, "the network is unreachable from the server"],
    hostUnreachable: [502, "the host is unreachable from the server"],
    refused: [502, "the connection was refused"],
    timeout: [504, "the host did not answer in time"],
    nameNotFound: [502, "the name does not exist"],
    nameServerFailed: [502, "the server's name server failed to answer"],
    overloaded: [503, "the server has too many connections"],
    noTunnel: [503, "the tunnel is down"],
    lost: [502, "the connection was lost before there was an answer"],
  };

/** Why there is no connection to `authority`, which has been parsed and so is plain ASCII. */
export function dialRefusal(result: Exclude<ConnectResult, "connected">, authority: string): HttpRefusal {
  const [status, sentence] = DIAL_FAILED[result];
  return new HttpRefusal(status, `${authority}: ${sentence}`);
}

/** A whole response, after which the connection closes. `method` is undefined if the request did not even parse. */
export function errorReply({ status, sentence }: HttpRefusal, method: string | undefined): Uint8Array {
  const content = bytesOf(`rvpn: ${sentence}\n`);
  // RFC 9110 section 11.7.1: a 407 carries a challenge.
  const challenge = status === 407 ? 'Proxy-Authenticate: Basic realm="rvpn", charset="UTF-8"\r\n' : "";
  const head = bytesOf(
    `HTTP/1.1 ${status} ${REASON_PHRASES[status]}\r\n${challenge}Content-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${content.length}\r\nConnection: close\r\n\r\n`,
  );
  // RFC 9110 section 9.3.2: the answer to HEAD says how long the content would be, and has none.
  return Buffer.concat([head, method === "HEAD" ? EMPTY : content]);
}
