import { Middle } from "./middle.ts";
import { pattern } from "./pattern.ts";

const PIECE_BYTES = 64 * 1024;

/**
 * Sends the payload as many programs do: JSON messages with base64 in them, 64 KiB of payload each, over a WebSocket
 * through the same counting wire. Returns the bytes of both directions.
 */
export async function jsonTransfer(size: number): Promise<{ forward: number; back: number }> {
  let arrived = 0;
  const done = Promise.withResolvers<void>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response(null, { status: 400 })),
    websocket: {
      perMessageDeflate: false,
      message: (_ws, message) => {
        arrived += payloadOf(String(message)).length;
        if (arrived === size) done.resolve();
      },
    },
  });
  const middle = new Middle(() => server.port ?? 0);
  const socket = new WebSocket(`ws://127.0.0.1:${middle.port}/`, { perMessageDeflate: false });
  try {
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
    const before = middle.counts;
    await sendAll(socket, size);
    await done.promise;
    const after = middle.counts;
    return { forward: after.up - before.up, back: after.down - before.down };
  } finally {
    socket.terminate();
    middle.close();
    await server.stop(true);
  }
}

async function sendAll(socket: WebSocket, size: number): Promise<void> {
  for (const block of pattern(size)) {
    for (let offset = 0; offset < block.length; offset += PIECE_BYTES) {
      const data = Buffer.from(block.subarray(offset, offset + PIECE_BYTES)).toString("base64");
      socket.send(JSON.stringify({ type: "data", stream: 1, data }));
    }
    while (socket.bufferedAmount > 4_000_000) await Bun.sleep(1);
  }
}

function payloadOf(message: string): Uint8Array {
  const parsed: unknown = JSON.parse(message);
  if (typeof parsed !== "object" || parsed === null || !("data" in parsed))
    throw new Error("not our message");
  return Buffer.from(String(parsed.data), "base64");
}
