import type { World } from "./world.ts";

const LIMIT_MS = 60_000;

/** A connection through the client's SOCKS5 port, for a test that talks by itself. */
export interface ProxiedSocket {
  /** Writes `bytes`, then waits for `count` bytes and takes them. What comes beyond them is for the next one. */
  ask(bytes: Uint8Array, count: number): Promise<Uint8Array>;
  close(): void;
}

/** Connects to a port of this machine's loopback. Throws if the proxy says no. */
export async function openThrough(world: World, port: number): Promise<ProxiedSocket> {
  let heard = Buffer.alloc(0);
  let broken = false;
  let wake = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: world.client.port,
    socket: {
      data: (_, bytes) => {
        heard = Buffer.concat([heard, bytes]);
        wake.resolve();
      },
      close: () => {
        broken = true;
        wake.resolve();
      },
      error: () => {},
    },
  });
  const ask = async (bytes: Uint8Array, count: number): Promise<Uint8Array> => {
    if (bytes.length > 0) socket.write(bytes);
    const late = setTimeout(() => socket.terminate(), LIMIT_MS);
    while (heard.length < count && !broken) {
      wake = Promise.withResolvers();
      await wake.promise;
    }
    clearTimeout(late);
    if (heard.length < count) throw new Error(`the connection broke after ${heard.length} of ${count} bytes`);
    const taken = Uint8Array.from(heard.subarray(0, count));
    heard = heard.subarray(count);
    return taken;
  };
  await ask(Uint8Array.of(5, 1, 0), 2);
  const reply = await ask(Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255), 10);
  if (reply[1] !== 0) throw new Error(`SOCKS5 reply ${reply[1]}`);
  return { ask, close: () => void socket.terminate() };
}
