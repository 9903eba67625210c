import { makeGateToken } from "../../../src/proto/index.ts";
import { secureRandom } from "../../../src/runtime/random.ts";

/** What a server did with somebody who has the gate key and no more. */
export interface Reception {
  readonly opened: boolean;
  /** Messages that came; the first is the bundle, which is for anybody with a token. */
  readonly said: number;
  /** Until the server closed the connection. */
  readonly ms: number;
}

/** Opens a WebSocket with a fresh token, sends `message` and waits until the server closes it. */
export async function knock(
  url: string,
  gateKey: Uint8Array,
  message: string | Uint8Array<ArrayBuffer> | undefined,
): Promise<Reception> {
  const token = makeGateToken(gateKey, secureRandom);
  const socket = new WebSocket(url, { headers: { Cookie: `sid=${token}` }, perMessageDeflate: false });
  let opened = false;
  let said = 0;
  const started = performance.now();
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => resolve();
    socket.onerror = () => {};
  });
  socket.onopen = () => {
    opened = true;
    if (message !== undefined) socket.send(message);
  };
  socket.onmessage = () => {
    said += 1;
  };
  await closed;
  return { opened, said, ms: performance.now() - started };
}
