import type { Socket } from "bun";

/** Where a connection goes: a port on loopback, by itself or through a SOCKS5 proxy on loopback. */
export interface Route {
  readonly port: number;
  readonly socksPort: number | undefined;
}

const OPEN_MS = 30_000;
const GREETING = new Uint8Array([5, 1, 0]);
const METHOD_REPLY_BYTES = 2;
/** With an IPv4 address bound, as for all of our requests; other forms are read by their own length. */
const CONNECT_REPLY_BYTES = 10;
const ADDRESS_TYPE_AT = 3;
const IPV6_REPLY_BYTES = 22;

/**
 * A connection of the bench's own SOCKS5 client, for what curl cannot do: thousands of connections from one process,
 * and timing to the byte. Greeting and request wait for their answers, as RFC 1928 has it and curl does.
 */
export class Wire {
  #socket: Socket<Wire> | undefined;
  readonly #closed = Promise.withResolvers<void>();
  /** Replaced by whoever wants the bytes. */
  onData: (bytes: Uint8Array) => void = () => {};

  /** Resolves when the connection is over, however it came. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  static async open({ port, socksPort }: Route, timeoutMs = OPEN_MS): Promise<Wire> {
    const wire = new Wire();
    wire.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: socksPort ?? port,
      socket: HANDLERS,
      data: wire,
    });
    if (socksPort === undefined) return wire;
    const late = setTimeout(() => wire.close(), timeoutMs);
    try {
      await wire.#negotiate(port);
      return wire;
    } catch (error) {
      wire.close();
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  async #negotiate(port: number): Promise<void> {
    const reader = new ReplyReader(this);
    this.write(GREETING);
    const method = await reader.read(() => METHOD_REPLY_BYTES);
    if (method[1] !== 0) throw new Error("the SOCKS proxy wants a password");
    this.write(new Uint8Array([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]));
    const reply = await reader.read(connectReplyLength);
    if (reply[1] !== 0) throw new Error(`the SOCKS proxy answered ${reply[1]}`);
  }

  /** For requests only: what the kernel's buffer does not take at once is an error. */
  write(bytes: Uint8Array | string): void {
    const count = this.#socket?.write(bytes) ?? -1;
    if (count !== bytes.length) throw new Error("the connection took no more");
  }

  pause(): void {
    this.#socket?.pause();
  }

  /** Ends the connection in order. */
  end(): void {
    this.#socket?.end();
  }

  close(): void {
    this.#socket?.terminate();
  }

  /** The socket's end. */
  ended(): void {
    this.#closed.resolve();
  }
}

const HANDLERS = {
  data: (socket: Socket<Wire>, bytes: Uint8Array) => socket.data.onData(bytes),
  close: (socket: Socket<Wire>) => socket.data.ended(),
  error: (socket: Socket<Wire>) => socket.data.ended(),
};

function connectReplyLength(bytes: Uint8Array): number {
  if (bytes.length <= ADDRESS_TYPE_AT + 1) return CONNECT_REPLY_BYTES;
  switch (bytes[ADDRESS_TYPE_AT]) {
    case 3:
      return ADDRESS_TYPE_AT + 4 + (bytes[ADDRESS_TYPE_AT + 1] ?? 0);
    case 4:
      return IPV6_REPLY_BYTES;
    default:
      return CONNECT_REPLY_BYTES;
  }
}

/** Reads replies of known length; there is nothing behind them until we ask for it. */
class ReplyReader {
  readonly #wire: Wire;
  #bytes = new Uint8Array(0);
  #wake: () => void = () => {};

  constructor(wire: Wire) {
    this.#wire = wire;
    wire.onData = (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      this.#wake();
    };
  }

  async read(length: (bytes: Uint8Array) => number): Promise<Uint8Array> {
    const closed = this.#wire.closed.then(() => {
      throw new Error("the SOCKS proxy closed the connection");
    });
    closed.catch(() => {});
    while (this.#bytes.length < length(this.#bytes)) {
      await Promise.race([closed, new Promise<void>((wake) => (this.#wake = wake))]);
    }
    const reply = this.#bytes;
    this.#bytes = new Uint8Array(0);
    return reply;
  }
}
