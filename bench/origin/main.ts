/**
 * The origin: what the benchmark downloads from, uploads to and talks with. A process of its own. Prints its ports as
 * one line of JSON and serves until its standard input ends, so that it cannot outlive the bench.
 *
 *   http: GET /bytes/N[?rate=MB/s], GET /tiny, PUT /sink (answers the count), PUT /hash (answers the SHA-256)
 *   echo: gives back what it gets, and is silent before; idle streams wait here as well
 */
import type { Socket } from "bun";
import { HttpConnection } from "./http-connection.ts";

const http = Bun.listen<HttpConnection>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open: (socket) => {
      socket.data = new HttpConnection(socket);
    },
    data: (socket, bytes) => socket.data.received(bytes),
    drain: (socket) => socket.data.pump(),
    close: (socket) => socket.data.closed(),
    error: () => {},
  },
});

const echo = Bun.listen<undefined>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    // Echoes are of a few bytes, which always fit into the kernel's buffer.
    data: (socket: Socket<undefined>, bytes) => void socket.write(bytes),
    error: () => {},
  },
});

process.stdout.write(`${JSON.stringify({ http: http.port, echo: echo.port })}\n`);
for await (const _ of Bun.stdin.stream()) {
  // Nothing is ever sent; the end is the message.
}
process.exit(0);
