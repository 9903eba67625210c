import { assert } from "./assert.ts";

/** Every number of the protocol core that bounds memory, time or work, each with its reason. Bytes and milliseconds. */
const KiB = 1024;
const MiB = 1024 * KiB;

export const LIMITS = {
  /** One chunk of bulk data in a body message: what a packet costs beside its bytes was a quarter at 256 KiB (measured). */
  maxChunkBytes: 1 * MiB,
  /** Below this a second message costs more than the copy into the lead that it saves. */
  minBodyBytes: 16 * KiB,
  /** Plaintext frames of one lead: one inline chunk below `minBodyBytes` and room for control frames. */
  maxFramesBytes: 20 * KiB,
  /** Smallest packet payload the scheduler makes on a slow path: about one Ethernet frame. */
  minPacketBytes: 1_400,
  /**
   * Packets of a link until the first acknowledgement. A message arrives as a whole or not at all, and until it has
   * there is silence: at 3 KB/s this takes 1.4 s, and the handshake's message with it 2 s. 64 KiB at once would take
   * longer than silence may last below 22 KB/s. Many small ones cost a fast path nothing.
   */
  firstPacketBytes: 4 * KiB,
  /** Packets below this are padded under the `padme` policy; above it lengths say little. */
  paddedBelowBytes: 16 * KiB,
  /** Smallest padded lead: acknowledgements, pings and keystrokes look alike. */
  minPaddedBytes: 96,

  /** Credit of a new stream, each way, before any WindowUpdate: covers 100 ms at 20 Mbit/s. */
  initialWindowBytes: 256 * KiB,
  /** Largest window of one stream: 1 Gbit/s over 128 ms. */
  maxWindowBytes: 16 * MiB,
  /** Sent-not-consumed bytes of one tunnel and direction, beyond each stream's exemption. */
  poolBytes: 64 * MiB,
  /** Outstanding bytes of each stream outside the pool, so that a stream moves whatever others hold. */
  exemptBytes: 8 * KiB,
  /** Bytes read from local sockets and not yet acknowledged, per tunnel; full: its readers pause. */
  sendPoolBytes: 64 * MiB,
  /** What one read of a socket brings at most: a chunk where we read it, half of that where Bun does. */
  maxReadBytes: 1 * MiB,
  /** What a connection brings before its reader can hear that the pool is full: the first window of Linux. */
  firstReadBytes: 64 * KiB,
  /** Unsent bytes of one stream at which its reader pauses: two reads, so that the next chunk is always at hand. */
  streamHighWaterBytes: 2 * MiB,
  /** Unsent bytes at which a paused reader goes on. */
  streamLowWaterBytes: 1 * MiB,

  /** Streams of one tunnel at once: a page takes 300, a scanner of hosts some thousands. */
  maxStreams: 16_384,
  /**
   * Streams that a server has at most, and so entries of a resume list: those that run, which the client may have
   * forgotten while applications here still read, and as many that it was refused and has not acknowledged.
   */
  maxEntries: 32_768,
  /** Ids above the contiguous ones that a server remembers as seen; larger gaps are no order of ours. */
  maxSeenGap: 32_768,
  /** Stream bytes a client may send before Accept. */
  maxEarlyBytes: 64 * KiB,
  /** Streams a client may open before Accept. */
  maxEarlyStreams: 16,
  /**
   * Messages and bytes that a client sends behind its first message before Accept. The server keeps them until it knows
   * who sends. A resume list of some thousands of streams is longer: the rest of it goes after Accept.
   */
  maxMessagesBeforeAccept: 64,
  maxBytesBeforeAccept: 256 * KiB,
  /** Entries in one Resume frame: 512 of at most 34 bytes fit into a lead. */
  maxResumeEntries: 512,
  /** Entries in one that we send: few enough for a link's first packets, which a slow path must carry in time. */
  sentResumeEntries: 128,
  /** Control frames of one tunnel waiting to be sent. Above it the peer makes us answer without reading. */
  maxControlFrames: 65_536,

  /** Acknowledge at least this often, in bytes of stream data. */
  ackEveryBytes: 512 * KiB,
  /** … and in time after the first unacknowledged packet. */
  ackDelayMs: 10,
  /** In flight before the first rate is known: 26 ms of 20 Mbit/s. TCP's own first window is a quarter of it. */
  initialFlightBytes: 64 * KiB,
  /** Never less in flight than this: a packet must always be able to go. */
  minFlightBytes: 16 * KiB,
  /** Never more in flight than this: beyond it a link only fills kernel buffers. */
  maxFlightBytes: 64 * MiB,
  /** Queueing delay that the flight limit allows beyond the shortest round trip. */
  queueDelayMs: 20,
  /**
   * On a fast path less does: a queue of four acknowledgements keeps the sender busy, and what is typed beside a transfer
   * waits for all of it. Above 500 MB/s, so many ms.
   */
  fastQueueBytes: 2 * MiB,
  fastQueueDelayMs: 4,
  /** A packet takes at most this long at the measured rate, so that another stream's turn comes soon. */
  packetTimeMs: 5,

  /** Idle time after which a side pings. Jittered by ± 20 %, so that clients do not march in step. */
  pingIdleMs: 20_000,
  /** The same where bytes had been coming: a download must not hide that its path is gone. */
  stoppedFlowMs: 2_000,
  /** How long a link may be silent after a ping: with timers that come late it is given up within 10 s all the same. */
  pingDeadlineMs: 9_000,
  /** The same where data waits or a stream has just been opened: a user is watching. */
  urgentPingDeadlineMs: 3_000,
  /** A link younger than this is not checked again when a stream opens. */
  quietLinkMs: 1_000,
  /** Links of one tunnel at once: more than the flows that a path drops apart, and each costs a handshake and a flight. */
  maxLinks: 8,
  /** A link is replaced at this age, ± 20 %, so that no key of its handshake serves for longer. */
  linkAgeMs: 12 * 3_600_000,
  /** From upgrade to packet 0; a peer that needs longer is not one. */
  handshakeDeadlineMs: 5_000,

  /** Half-closed streams without progress end after this. */
  halfClosedIdleMs: 10 * 60_000,
} as const;

assert(LIMITS.minBodyBytes < LIMITS.maxFramesBytes, "an inline chunk fits into a lead");
assert(LIMITS.minPacketBytes < LIMITS.minBodyBytes, "the smallest packet is a lead");
assert(LIMITS.firstPacketBytes < LIMITS.minBodyBytes, "packets with Hello and Accept have no body");
assert(LIMITS.maxEntries >= 2 * LIMITS.maxStreams, "a client within its limit cannot overrun a server's");
assert(
  LIMITS.maxBytesBeforeAccept >= 2 * (LIMITS.maxEarlyBytes + LIMITS.maxFramesBytes),
  "what is early fits behind a packet of the resume list",
);
assert(LIMITS.maxReadBytes >= LIMITS.maxChunkBytes, "a read may fill a packet");
assert(LIMITS.exemptBytes < LIMITS.initialWindowBytes, "a stream's credit covers its exemption");
assert(LIMITS.maxWindowBytes * 2 <= LIMITS.poolBytes, "one stream cannot take more than half of the pool");
assert(
  LIMITS.streamLowWaterBytes >= LIMITS.maxChunkBytes,
  "a resumed reader comes before the queue is empty",
);
assert(LIMITS.fastQueueBytes >= 4 * LIMITS.ackEveryBytes, "the smaller queue outlasts an acknowledgement");
assert(LIMITS.ackDelayMs < LIMITS.queueDelayMs, "acknowledgements come back within the queue they allow");
assert(LIMITS.maxLinks <= 256, "a slot is one byte");
assert(LIMITS.minFlightBytes >= LIMITS.minBodyBytes, "the smallest flight holds a packet");

/**
 * Upper bound of the bytes that one tunnel's buffers hold in this process: what the peer may have sent and our
 * applications not taken, what our applications gave and the peer not acknowledged, and what streams may be given beyond
 * a full pool (`writable` with `most`). Where reads cannot be kept short (`read-some.ts`) each stream may hold a whole one.
 */
export function tunnelMemoryBound(
  streams: number,
  poolBytes: number,
  sendPoolBytes: number = LIMITS.sendPoolBytes,
): number {
  const received = poolBytes + streams * LIMITS.exemptBytes;
  const beyond = sendPoolBytes + streams * (LIMITS.exemptBytes + LIMITS.firstReadBytes);
  const sending = sendPoolBytes + LIMITS.maxReadBytes + beyond;
  return received + sending;
}
