import type { ServerWebSocket } from "bun";
import { release } from "../proto/index.ts";
import type { Carrier } from "../runtime/carrier.ts";
import { SERVER_LIMITS } from "./server-limits.ts";

/** Close code of a link that ends for any reason: a peer learns nothing from it (RFC 6455 section 7.4.1). */
const NORMAL_CLOSURE = 1000;
/** What `send` returns for a message that Bun did not take; -1 says queued, which is as good as sent. */
const DROPPED = 0;

/** A server's WebSocket as the carrier of a link. */
export function wsCarrier(ws: ServerWebSocket<unknown>): Carrier {
  return {
    send: (message) => {
      if (ws.getBufferedAmount() >= SERVER_LIMITS.socketBufferBytes) return false;
      const isTaken = ws.sendBinary(message) !== DROPPED;
      release(message);
      return isTaken;
    },
    close: () => ws.close(NORMAL_CLOSURE),
  };
}
