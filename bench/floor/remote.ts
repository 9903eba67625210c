import type { ServerWebSocket } from "bun";
import type { FloorMode } from "./message.ts";
import { type Carrier, Relay } from "./relay.ts";

interface Accepted {
  readonly targetPort: number;
  relay: Relay | undefined;
}

/** The server's end: connects each WebSocket to the port of loopback that its path names. */
export function serveRemote(port: number, mode: FloorMode): void {
  Bun.serve<Accepted>({
    hostname: "127.0.0.1",
    port,
    fetch: (request, server) => {
      const targetPort = Number(new URL(request.url).pathname.slice(1));
      if (server.upgrade(request, { data: { targetPort, relay: undefined } })) return undefined;
      return new Response("a WebSocket is wanted", { status: 400 });
    },
    websocket: {
      perMessageDeflate: false,
      backpressureLimit: 0,
      open: (ws) => {
        const relay = new Relay(carrierOf(ws), mode);
        ws.data.relay = relay;
        connect(ws.data.targetPort, relay).catch(() => ws.close());
      },
      message: (ws, message) => {
        if (typeof message !== "string") ws.data.relay?.fromCarrier(message);
      },
      close: (ws) => ws.data.relay?.carrierClosed(),
    },
  });
}

function connect(port: number, relay: Relay): Promise<unknown> {
  return Bun.connect<Relay>({
    hostname: "127.0.0.1",
    port,
    data: relay,
    socket: {
      open: (socket) => relay.attach(socket),
      data: (_, bytes) => relay.fromSocket(bytes),
      drain: () => relay.socketDrain(),
      close: () => relay.socketClosed(),
      error: () => {},
    },
  });
}

function carrierOf(ws: ServerWebSocket<Accepted>): Carrier {
  return {
    get buffered() {
      return ws.getBufferedAmount();
    },
    send: (message) => void ws.sendBinary(message),
    pause: () => ws.pause(),
    resume: () => ws.resume(),
    close: () => ws.close(),
  };
}
