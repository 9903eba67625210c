import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP wire between a client and whatever server there is at the time: it can be cut, held and taken away. */
export class Wire {
  readonly #server: Server;
  readonly #ends = new Set<Socket>();
  /** Where new connections go; undefined refuses them. */
  target: number | undefined;
  /** Nothing comes back from the server, though everything reaches it. */
  holding = false;
  /** On new connections nothing comes back once the client has said Hello, which is the second that it says. */
  unaccepting = false;
  /** New connections are taken and lead nowhere. */
  silent = false;
  connections = 0;
  /** Connections from before this many were made carry nothing any more, and nobody is told. */
  #frozenBefore = 0;

  constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (near) => this.#join(near));
  }

  async listen(): Promise<number> {
    const listening = Promise.withResolvers<void>();
    this.#server.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    // A TCP server that listens has an address of this kind.
    return (this.#server.address() as AddressInfo).port;
  }

  #join(near: Socket): void {
    const ordinal = this.connections++;
    this.#keep(near);
    if (this.silent) return void near.resume();
    if (this.target === undefined) return void near.destroy();
    const far = connect({ port: this.target, host: "127.0.0.1", allowHalfOpen: true });
    this.#keep(far);
    near.pipe(far);
    let said = this.unaccepting ? 0 : Number.NEGATIVE_INFINITY;
    near.on("data", () => {
      said += 1;
    });
    far.on("data", (bytes) => {
      if (said < 2 && !this.holding && ordinal >= this.#frozenBefore) near.write(bytes);
    });
    far.on("close", () => near.destroy());
    near.on("close", () => far.destroy());
  }

  #keep(socket: Socket): void {
    this.#ends.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#ends.delete(socket));
  }

  /** Everything that stands now goes silent, towards the client. */
  freeze(): void {
    this.#frozenBefore = this.connections;
  }

  /** Ends of connections, two for each that stands. */
  get open(): number {
    return this.#ends.size;
  }

  /** Breaks every connection, as a router does that loses its state. */
  cut(): void {
    for (const socket of [...this.#ends]) socket.resetAndDestroy();
  }

  /** Breaks the newest connections alone. */
  cutNewest(): void {
    for (const socket of [...this.#ends].slice(-2)) socket.resetAndDestroy();
  }

  /** Breaks the oldest connection alone. */
  cutOldest(): void {
    for (const socket of [...this.#ends].slice(0, 2)) socket.resetAndDestroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}
