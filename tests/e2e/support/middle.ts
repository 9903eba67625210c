import type { Socket, TCPSocketListener } from "bun";

type Direction = "up" | "down";

interface Leg {
  /** Counts connections from 0. */
  readonly connection: number;
  readonly direction: Direction;
  peer: Socket<Leg> | undefined;
  /** What the other leg gave and this socket has not taken. */
  readonly queue: Uint8Array[];
  ended: boolean;
}

/** What comes next on one connection is to go out a second time, there or on another one. */
interface Copy {
  readonly direction: Direction;
  readonly from: number;
  readonly to: number;
}

/**
 * A wire in the middle: a TCP proxy that counts, and on demand flips a byte, records, repeats or cuts. It knows nothing
 * of WebSockets: what is written at once on a quiet connection is a whole message.
 * `up` is what flows from the side that dialled.
 */
export class Middle {
  readonly #listener: TCPSocketListener<Leg>;
  readonly #open = new Set<Socket<Leg>>();
  readonly #bytes: Record<Direction, number> = { up: 0, down: 0 };
  readonly #flipAt: Partial<Record<Direction, number>> = {};
  readonly #recordings = new Map<number, Buffer[]>();
  #copies: Copy[] = [];
  #connections = 0;
  #flipped = 0;
  #copied = 0;
  /** Keeps what the dialling side says from its next connection on. */
  recording = false;

  constructor(targetPort: () => number) {
    this.#listener = Bun.listen<Leg>({
      hostname: "127.0.0.1",
      port: 0,
      allowHalfOpen: true,
      socket: { ...this.#handlers(), open: (socket) => this.#dial(socket, targetPort()) },
    });
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Bytes that were taken from each side so far. */
  get counts(): Readonly<Record<Direction, number>> {
    return { ...this.#bytes };
  }

  get connections(): number {
    return this.#connections;
  }

  get flipped(): number {
    return this.#flipped;
  }

  /** How many copies have gone out. */
  get copied(): number {
    return this.#copied;
  }

  /** All that was said on a connection by the side that dialled; `recording` was set before it began. */
  recordingOf(connection: number): Buffer {
    return Buffer.concat(this.#recordings.get(connection) ?? []);
  }

  /** Connections that stand, by their numbers. */
  get open(): readonly number[] {
    return [...new Set([...this.#open].map(({ data }) => data.connection))].sort((a, b) => a - b);
  }

  /** Sends what comes next on `from` a second time: behind itself, or on another connection. */
  copyNext(direction: Direction, from: number, to = from): void {
    this.#copies.push({ direction, from, to });
  }

  /** Flips one bit of the byte that comes `after` more bytes in this direction. */
  flip(direction: Direction, after: number): void {
    this.#flipAt[direction] = this.#bytes[direction] + after;
  }

  /** Breaks every connection, as a router does that loses its state. */
  cut(): void {
    for (const socket of this.#open) socket.terminate();
  }

  close(): void {
    this.#listener.stop(true);
    this.cut();
  }

  #dial(socket: Socket<Leg>, port: number): void {
    const connection = this.#connections;
    this.#connections += 1;
    if (this.recording) this.#recordings.set(connection, []);
    const near: Leg = { connection, direction: "up", peer: undefined, queue: [], ended: false };
    socket.data = near;
    socket.pause();
    this.#open.add(socket);
    const far: Leg = { connection, direction: "down", peer: socket, queue: [], ended: false };
    const socketHandlers = {
      ...this.#handlers(),
      open: (target: Socket<Leg>) => {
        this.#open.add(target);
        near.peer = target;
        socket.resume();
      },
      connectError: () => socket.terminate(),
    };
    Bun.connect<Leg>({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      data: far,
      socket: socketHandlers,
    }).catch(() => socket.terminate());
  }

  #handlers() {
    return {
      data: (socket: Socket<Leg>, bytes: Buffer) => this.#pass(socket, bytes),
      drain: (socket: Socket<Leg>) => this.#flush(socket),
      end: (socket: Socket<Leg>) => this.#end(socket),
      close: (socket: Socket<Leg>, error?: Error) => this.#closed(socket, error),
      error: () => {},
    };
  }

  #pass(socket: Socket<Leg>, bytes: Buffer): void {
    const { connection, direction, peer } = socket.data;
    this.#maybeFlip(direction, bytes);
    this.#bytes[direction] += bytes.length;
    if (direction === "up") this.#recordings.get(connection)?.push(Buffer.from(bytes));
    if (peer === undefined) return;
    peer.data.queue.push(bytes);
    this.#flush(peer);
    if (peer.data.queue.length > 0) socket.pause();
    this.#maybeCopy(connection, direction, bytes);
  }

  #maybeCopy(connection: number, direction: Direction, bytes: Buffer): void {
    const copy = this.#copies.find((each) => each.from === connection && each.direction === direction);
    if (copy === undefined) return;
    this.#copies = this.#copies.filter((each) => each !== copy);
    // Written to is the end that the other direction is read from.
    const target = [...this.#open].find(
      ({ data }) => data.connection === copy.to && data.direction !== direction,
    );
    if (target === undefined) return;
    this.#copied += 1;
    target.data.queue.push(Buffer.from(bytes));
    this.#flush(target);
  }

  #maybeFlip(direction: Direction, bytes: Buffer): void {
    const index = (this.#flipAt[direction] ?? Number.POSITIVE_INFINITY) - this.#bytes[direction];
    if (index >= bytes.length) return;
    bytes[index] = (bytes[index] ?? 0) ^ 1;
    delete this.#flipAt[direction];
    this.#flipped += 1;
  }

  #flush(socket: Socket<Leg>): void {
    const { queue, peer, ended } = socket.data;
    for (let bytes = queue.shift(); bytes !== undefined; bytes = queue.shift()) {
      const taken = Math.max(socket.write(bytes), 0);
      if (taken === bytes.length) continue;
      queue.unshift(bytes.subarray(taken));
      return;
    }
    if (ended) socket.shutdown();
    peer?.resume();
  }

  /** One side sends no more: neither does the other, once it has what came before. */
  #end(socket: Socket<Leg>): void {
    const { peer } = socket.data;
    if (peer === undefined) return;
    peer.data.ended = true;
    if (peer.data.queue.length === 0) peer.shutdown();
  }

  #closed(socket: Socket<Leg>, error?: Error): void {
    this.#open.delete(socket);
    const { peer } = socket.data;
    if (error !== undefined) peer?.terminate();
    else this.#end(socket);
  }
}
