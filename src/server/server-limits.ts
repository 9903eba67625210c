/** Bounds of what clients can make a server hold, each with its reason. */
export const SERVER_LIMITS = {
  /** Gate nonces remembered per generation, 22 characters each: a day of a busy server, some 10 MB at most. */
  noncesRemembered: 65_536,
  /** Tunnels of one identity: a seat is shared by the parallel jobs of a CI. */
  tunnelsPerClient: 1_024,
  /** Tunnels remembered as given up, so that their clients do not repeat requests. */
  droppedRemembered: 16_384,
  /** WebSockets that have not proven a client yet. Above it the oldest goes first. */
  unproven: 1_024,
  /** How long a tunnel without links and streams is kept: a first retry comes at once, a second within a second. */
  emptyTunnelMs: 10_000,
  /** Bytes in a WebSocket that the client does not read: beyond the flight limit it answers without listening. */
  socketBufferBytes: 128 * 1024 * 1024,
  /** How often half-closed streams are looked through; their limit is ten minutes. */
  sweepMs: 60_000,
  /** How often a drain looks whether the last stream is done. */
  drainPollMs: 50,
  /** A request head that is not complete after this is closed (seconds, Bun's unit). */
  idleHttpSeconds: 10,
} as const;
