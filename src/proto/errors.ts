/**
 * Everything a peer can do wrong, in one table: name, wire code, sentence. The sentence is for our own log; the peer
 * learns nothing of either. Codes are frozen by tests/proto/wire.test.ts.
 */
export const PROTOCOL_ERRORS = {
  malformed: [1, "bytes do not decode"],
  notCanonical: [2, "bytes decode but are not the one encoding of their value"],
  unknownFrame: [3, "unknown frame type"],
  tooLarge: [4, "a length is above its limit"],
  badTag: [5, "a packet or the box failed authentication"],
  unexpectedPacket: [6, "a packet number, or a new chain, is not the expected one"],
  unexpectedFrame: [7, "a frame is not allowed from this side or in this state"],
  unknownStream: [8, "a frame names a stream that was never opened"],
  unitGap: [9, "units above the expected one"],
  streamCredit: [10, "the peer overran a stream's credit"],
  tunnelCredit: [11, "the peer overran the pool"],
  tooManyStreams: [12, "more streams, entries or skipped ids than allowed"],
  badAck: [13, "an acknowledgement, or a unit or byte count, of something never sent"],
  badKey: [14, "a key or identity is not acceptable"],
  badSignature: [15, "the bundle's signature does not verify"],
  wrongIdentity: [16, "the server's identity is not the pinned one, nor shown to follow it"],
  unsupported: [17, "no common version or suite"],
  overdueStep: [18, "the peer did not renew its ratchet key in time"],
  dataAfterFin: [19, "units after the end of a stream"],
  chainExhausted: [20, "a chain has no packet numbers left"],
} as const satisfies Record<string, readonly [code: number, sentence: string]>;

export type ProtocolErrorName = keyof typeof PROTOCOL_ERRORS;

/** The peer broke the protocol. Ends the link it happened on, never the process. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly reason: ProtocolErrorName;

  constructor(reason: ProtocolErrorName, detail?: string, cause?: unknown) {
    const sentence = PROTOCOL_ERRORS[reason][1];
    super(
      detail === undefined ? sentence : `${sentence}: ${detail}`,
      cause === undefined ? undefined : { cause },
    );
    this.reason = reason;
  }

  /** Wire code, as listed in docs/PROTOCOL.md. */
  get code(): number {
    return PROTOCOL_ERRORS[this.reason][0];
  }
}
