import { expect } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import type { RunningClient } from "../../../src/client/client.ts";
import { until } from "./home.ts";

/** What an application says to reach 127.0.0.1:`port`, and how the answer begins that tells it there is no tunnel. */
export const PROTOCOLS: readonly {
  readonly name: string;
  readonly request: (port: number) => string;
  readonly connected: string;
  readonly noTunnel: string;
  readonly lost: string;
}[] = [
  {
    name: "SOCKS5",
    request: (port) => `\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01${portBytes(port)}`,
    connected: "\x05\x00\x05\x00",
    noTunnel: "\x05\x00\x05\x03",
    lost: "\x05\x00\x05\x01",
  },
  {
    name: "SOCKS4",
    request: (port) => `\x04\x01${portBytes(port)}\x7f\x00\x00\x01\x00`,
    connected: "\x00\x5a",
    noTunnel: "\x00\x5b",
    lost: "\x00\x5b",
  },
  {
    name: "HTTP CONNECT",
    request: (port) => `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`,
    connected: "HTTP/1.1 200 ",
    noTunnel: "HTTP/1.1 503 ",
    lost: "HTTP/1.1 502 ",
  },
  {
    name: "plain HTTP",
    request: (port) => `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`,
    connected: "",
    noTunnel: "HTTP/1.1 503 ",
    lost: "HTTP/1.1 502 ",
  },
];

function portBytes(port: number): string {
  return String.fromCharCode(port >> 8, port & 255);
}

/** One application at the proxy: what it has been told, and how its connection ended. */
export class Application {
  readonly #socket: Socket;
  told = "";
  error: string | undefined;
  ended = false;

  constructor(client: RunningClient, request: string) {
    this.#socket = connect({ port: client.port, host: "127.0.0.1", allowHalfOpen: true });
    this.#socket.on("data", (bytes) => {
      this.told += bytes.toString("latin1");
    });
    this.#socket.on("error", ({ message }) => {
      this.error = message;
    });
    this.#socket.on("end", () => {
      this.ended = true;
    });
    this.#socket.write(Buffer.from(request, "latin1"));
  }

  say(text: string): void {
    this.#socket.write(text);
  }

  leave(): void {
    this.#socket.resetAndDestroy();
  }
}

/** A destination that repeats what it hears, and one that hears and says nothing. */
export async function listener(echo: boolean) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    if (echo) socket.pipe(socket);
    else socket.resume();
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    sockets,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Bytes go there and back on it. */
export async function expectEcho(application: Application, text: string): Promise<void> {
  application.say(text);
  await until(() => application.told.endsWith(text));
  expect(application.error).toBeUndefined();
}
