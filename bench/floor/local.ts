import type { Socket } from "bun";
import type { FloorMode } from "./message.ts";
import { type Carrier, Relay } from "./relay.ts";

const METHOD_REPLY = Uint8Array.of(5, 0);
const CONNECTED = Uint8Array.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 0);

/** The client's end: a SOCKS5 port, and a WebSocket to the server for each connection to it. */
export function serveLocal(port: number, serverPort: number, mode: FloorMode): void {
  Bun.listen<Application>({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => {
        socket.data = new Application(socket, serverPort, mode);
      },
      data: (socket, bytes) => socket.data.received(bytes),
      drain: (socket) => socket.data.relay?.socketDrain(),
      close: (socket) => socket.data.closed(),
      error: () => {},
    },
  });
}

class Application {
  readonly #socket: Socket<Application>;
  readonly #serverPort: number;
  readonly #mode: FloorMode;
  #isGreeted = false;
  #ws: WebSocket | undefined;
  /** Once the server has answered. Nobody sends before. */
  relay: Relay | undefined;

  constructor(socket: Socket<Application>, serverPort: number, mode: FloorMode) {
    this.#socket = socket;
    this.#serverPort = serverPort;
    this.#mode = mode;
  }

  received(bytes: Uint8Array): void {
    if (this.relay !== undefined) return this.relay.fromSocket(bytes);
    if (this.#isGreeted) return this.#dial(((bytes.at(-2) ?? 0) << 8) | (bytes.at(-1) ?? 0));
    this.#isGreeted = true;
    this.#socket.write(METHOD_REPLY);
  }

  #dial(targetPort: number): void {
    const ws = new WebSocket(`ws://127.0.0.1:${this.#serverPort}/${targetPort}`, {
      perMessageDeflate: false,
    });
    const relay = new Relay(carrierOf(ws), this.#mode);
    ws.onopen = () => {
      this.#socket.write(CONNECTED);
      this.relay = relay;
      relay.attach(this.#socket);
    };
    ws.onmessage = ({ data }) => relay.fromCarrier(data);
    ws.onclose = () => {
      if (this.relay === undefined) this.#socket.end();
      else relay.carrierClosed();
    };
    this.#ws = ws;
  }

  closed(): void {
    this.relay?.socketClosed();
    this.#ws?.close();
  }
}

function carrierOf(ws: WebSocket): Carrier {
  return {
    get buffered() {
      return ws.bufferedAmount;
    },
    send: (message) => ws.send(message),
    pause: () => void ws.pause(),
    resume: () => void ws.resume(),
    close: () => ws.close(),
  };
}
