const READY_MS = 15_000;
const POLL_MS = 20;

/** A loopback port that was free a moment ago. Programs that cannot choose one themselves need it. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Waits until something listens on a loopback port. */
export async function listening(port: number, timeoutMs = READY_MS): Promise<void> {
  await eventually(`port ${port} to listen`, timeoutMs, async () => {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.terminate();
  });
}

/** Tries until `attempt` succeeds. Throws what it said last when the time is over. */
export async function eventually(
  what: string,
  timeoutMs: number,
  attempt: () => Promise<void>,
  pollMs = POLL_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadline)
        throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: error });
    }
    await Bun.sleep(pollMs);
  }
}
