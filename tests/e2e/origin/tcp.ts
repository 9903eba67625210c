import type { Socket, SocketHandler } from "bun";
import { pattern } from "../support/pattern.ts";
import type { OriginPorts, Report } from "./ports.ts";
import { Sending } from "./sending.ts";

interface State {
  readonly sending: Sending;
  readonly hash: Bun.CryptoHasher;
  bytes: number;
}

type Server = (reports: Report[]) => Partial<SocketHandler<State>>;
type TcpName = Exclude<keyof OriginPorts, "http">;

const HEAD = Buffer.from("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
/** Time for what was sent to arrive before a reset overtakes it in the receiver's queue. */
const RESET_DELAY_MS = 200;
const SLOW_PAUSE_MS = 60;

/** Starts every server on a free port of 127.0.0.1. */
export function startTcpServers(): { ports: Omit<OriginPorts, "http">; reports: () => readonly Report[] } {
  const reports: Report[] = [];
  const port = (name: TcpName): number => listen(SERVERS[name](reports));
  const ports = {
    echo: port("echo"),
    banner: port("banner"),
    hash: port("hash"),
    slow: port("slow"),
    flood: port("flood"),
    closer: port("closer"),
    resetter: port("resetter"),
    finFirst: port("finFirst"),
  };
  return { ports, reports: () => reports };
}

const echo: Partial<SocketHandler<State>> = {
  data: (socket, bytes) => socket.data.sending.push(bytes),
  end: (socket) => socket.data.sending.finish(),
};

const SERVERS: Readonly<Record<TcpName, Server>> = {
  echo: () => echo,
  banner: () => ({
    ...echo,
    open: (socket) => socket.data.sending.push(Buffer.from("220 ready\r\n")),
  }),
  hash: () => ({ data: count, end: answer }),
  slow: () => ({
    data: (socket, bytes) => {
      count(socket, bytes);
      socket.pause();
      setTimeout(() => socket.resume(), SLOW_PAUSE_MS);
    },
    end: answer,
  }),
  flood: () => ({
    open: (socket) => {
      socket.pause();
      socket.data.sending.pull(pattern(Number.MAX_SAFE_INTEGER));
    },
  }),
  closer: () => ({ open: (socket) => void sendPage(socket, 8_000_000).finish() }),
  resetter: () => ({
    open: (socket) => {
      sendPage(socket, 100_000);
      setTimeout(() => socket.terminate(), RESET_DELAY_MS);
    },
  }),
  finFirst: (reports) => ({
    open: (socket) => {
      socket.data.sending.push(Buffer.from("hello\n"));
      socket.shutdown();
    },
    data: count,
    // After our own shutdown a FIN is reported as a close without an error.
    close: (socket, error) => void reports.push(reportOf(socket, error ?? undefined)),
  }),
};

function listen(handlers: Partial<SocketHandler<State>>): number {
  const { open, ...others } = handlers;
  const server = Bun.listen<State>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      ...others,
      open: (socket) => {
        socket.data = { sending: new Sending(socket), hash: new Bun.CryptoHasher("sha256"), bytes: 0 };
        void open?.(socket);
      },
      drain: (socket) => socket.data.sending.drain(),
      error: () => {},
    },
  });
  return server.port;
}

function count(socket: Socket<State>, bytes: Uint8Array): void {
  socket.data.bytes += bytes.length;
  socket.data.hash.update(bytes);
}

function answer(socket: Socket<State>): void {
  const { sending, bytes, hash } = socket.data;
  sending.push(Buffer.from(`${bytes} ${hash.digest("hex")}\n`));
  sending.finish();
}

function sendPage(socket: Socket<State>, size: number): Sending {
  socket.data.sending.push(HEAD);
  socket.data.sending.pull(pattern(size));
  return socket.data.sending;
}

function reportOf({ data }: Socket<State>, error: Error | undefined): Report {
  const end = error === undefined ? "fin" : "reset";
  return { bytes: data.bytes, sha256: data.hash.digest("hex"), end };
}
