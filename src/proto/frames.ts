import type { Destination, DialResult } from "./destination.ts";
import type { Refusal } from "./refusals.ts";

/** Frame type bytes. Frozen by tests/proto/wire.test.ts; docs/PROTOCOL.md section 6 gives the layouts. */
export const FrameType = {
  padding: 0x00,
  hello: 0x01,
  accept: 0x02,
  refuse: 0x03,
  proxyConnect: 0x04,
  proxyResponse: 0x05,
  proxyData: 0x06,
  windowUpdate: 0x07,
  packetAck: 0x08,
  reset: 0x09,
  resetAck: 0x0a,
  ping: 0x0c,
  pong: 0x0d,
  goAway: 0x0f,
  resume: 0x10,
  gateKey: 0x11,
} as const;

/** Why a stream was reset: name and wire code. */
export const RESET_CODES = {
  /** The application's connection broke (TCP RST or an error). */
  connection: 1,
  /** The application went away before the stream was connected. */
  cancelled: 2,
  /** A half-closed stream made no progress for too long. */
  idle: 3,
  /** The other side lost the tunnel, so the rest of the stream is lost. */
  lost: 4,
  /** Shut down on purpose: drain deadline, revocation. */
  closed: 5,
} as const;
export type ResetCode = keyof typeof RESET_CODES;

/** How the server took a Hello: name and wire code. */
export const ACCEPT_RESULTS = { created: 1, resumed: 2, dropped: 3 } as const;
export type AcceptResult = keyof typeof ACCEPT_RESULTS;

/** State of one stream as a side states it when a link is attached. Units and offsets as in PROTOCOL.md section 7. */
export interface ResumeEntry {
  readonly stream: number;
  /** The next unit this side expects. */
  readonly next: number;
  /** Bytes that this side's application has taken. */
  readonly consumed: number;
  /** Absolute credit this side has given: bytes of the stream the peer may send. */
  readonly limit: number;
  /** Set when this side has reset the stream and waits for ResetAck. */
  readonly reset?: ResetCode;
}

/** Capability bits of Hello, which says what the client understands, and Accept, which says what it makes use of. */
export const CAPABILITIES = { resumeWindow: 1 } as const;

/** Whether `capabilities`, of up to 53 bits, has `bit`. */
export function hasCapability(capabilities: number, bit: number): boolean {
  return Math.floor(capabilities / bit) % 2 === 1;
}

/** First frame of a client's first packet. */
export interface HelloFrame {
  readonly type: "hello";
  /** 32 bytes: id and resume secret of the tunnel in one. */
  readonly tunnel: Uint8Array;
  readonly slot: number;
  readonly gen: number;
  /** 16 bytes: the secret of an invite. */
  readonly join?: Uint8Array;
  /** Capability bits; unknown ones are ignored. */
  readonly capabilities: number;
  /** Sent-not-consumed bytes this side takes, beyond the streams' exemptions. */
  readonly poolBytes: number;
  /** Lowest stream id not yet used up: every lower one is finished or among the resume entries. */
  readonly base: number;
  /** Resume entries that follow in Resume frames before any other frame of a stream. */
  readonly entries: number;
}

export interface AcceptFrame {
  readonly type: "accept";
  readonly result: AcceptResult;
  readonly capabilities: number;
  readonly poolBytes: number;
  readonly maxStreams: number;
  readonly entries: number;
  /** How long the server keeps the tunnel without a link, in ms: there if and only if its capability bit is. */
  readonly resumeWindowMs?: number;
}

/** Bytes of a stream, and its end. `bytes` is a view into the packet's plaintext, or the plaintext of its body. */
export interface ProxyDataFrame {
  readonly type: "proxyData";
  readonly stream: number;
  /** Unit of the first byte; with no bytes, the unit of FIN. */
  readonly firstUnit: number;
  readonly fin: boolean;
  readonly bytes: Uint8Array;
}

export type Frame =
  | { readonly type: "padding"; readonly length: number }
  | HelloFrame
  | AcceptFrame
  | { readonly type: "refuse"; readonly refusal: Refusal }
  | { readonly type: "proxyConnect"; readonly stream: number; readonly destination: Destination }
  | { readonly type: "proxyResponse"; readonly stream: number; readonly result: DialResult }
  | ProxyDataFrame
  | {
      readonly type: "windowUpdate";
      readonly stream: number;
      readonly consumed: number;
      readonly limit: number;
    }
  | { readonly type: "packetAck"; readonly count: number; readonly delayUs: number }
  | { readonly type: "reset"; readonly stream: number; readonly code: ResetCode }
  | { readonly type: "resetAck"; readonly stream: number }
  | { readonly type: "ping"; readonly nonce: number }
  | { readonly type: "pong"; readonly nonce: number }
  | { readonly type: "goAway" }
  | { readonly type: "resume"; readonly entries: readonly ResumeEntry[] }
  | { readonly type: "gateKey"; readonly key: Uint8Array };
