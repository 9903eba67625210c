import { LIMITS, tunnelMemoryBound } from "../../src/proto/index.ts";
import type { Dice } from "./dice.ts";
import type { SimDriver } from "./driver.ts";
import { Endpoint } from "./endpoint.ts";
import { check, type Trace } from "./failure.ts";
import type { Node } from "./node.ts";
import type { Plan } from "./plan.ts";
import { makeRequest, type Request } from "./request.ts";

type Side = "client" | "server";

export interface ApplicationsOptions {
  readonly plan: Plan;
  readonly dice: Dice;
  readonly trace: Trace;
  readonly nodes: Readonly<Record<Side, Node>>;
  /** Whether the server has lost a tunnel that the client has not heard of yet. */
  readonly losing: () => boolean;
}

/** Who uses the tunnel, on both sides: opens streams, answers them, and knows what must come of each. */
export class Applications {
  readonly #options: ApplicationsOptions;
  readonly #requests = new Map<number, Request>();
  readonly #ends: Readonly<Record<Side, Map<number, Endpoint>>> = { client: new Map(), server: new Map() };
  #hurry = false;
  /** The newest link that the client has been accepted on says that its server goes away. */
  serverLeaves = false;
  /** Ends that are not done. */
  openEnds = 0;

  constructor(options: ApplicationsOptions) {
    this.#options = options;
  }

  /** The client's application opens a stream for request `id`, which is also the port that it asks for. */
  open(id: number, driver: SimDriver): void {
    const { dice, plan } = this.#options;
    const request = makeRequest(id, dice.fork(), plan.mix);
    const host = { kind: "name", name: "example.com" } as const;
    const stream = driver.tunnel.open({ host, port: id }, driver.now);
    check(stream !== undefined, () => "the client opens no more streams");
    this.#trace(() => `client: open ${stream} ${JSON.stringify(request)}`);
    this.#requests.set(id, request);
    this.#join("client", request, driver, stream);
  }

  /** The ProxyConnect of request `id` is in a packet, for a server that may have lost the tunnel already. */
  sealed(id: number): void {
    const request = this.#requests.get(id);
    check(request !== undefined, () => `the client asks for ${id}, which nobody wants`);
    request.sealed = true;
    if (this.#options.losing()) request.mayBeLost = true;
  }

  /** The server is asked for request `id`. */
  run(id: number, driver: SimDriver, stream: number): void {
    const request = this.#requests.get(id);
    check(request !== undefined, () => `the server is asked for ${id}, which nobody wants`);
    request.runs += 1;
    check(request.runs === 1, () => `request ${id} runs twice`);
    const end = this.#join("server", request, driver, stream);
    this.#options.nodes.server.after(request.dialMs, () => {
      if (end.state !== "open") return;
      driver.tunnel.respond(stream, request.dialResult, driver.now);
      if (request.dialResult === "connected") end.connected();
      else end.end("refused");
    });
  }

  #join(side: Side, request: Request, driver: SimDriver, stream: number): Endpoint {
    const peers = this.#ends[side === "client" ? "server" : "client"];
    this.openEnds += 1;
    const end = new Endpoint({
      side,
      request,
      plan: request[side],
      driver,
      node: this.#options.nodes[side],
      stream,
      peer: () => peers.get(request.id),
      onEnd: () => {
        this.openEnds -= 1;
        this.#trace(() => `ended: ${end}`);
      },
    });
    this.#ends[side].set(request.id, end);
    driver.listen(stream, end);
    if (this.#hurry) end.hurry();
    return end;
  }

  /** The faults are over: everybody reads and writes at once. */
  hurry(): void {
    this.#hurry = true;
    for (const side of ["client", "server"] as const) {
      this.#options.nodes[side].run(() => {
        for (const end of this.#ends[side].values()) end.hurry();
      });
    }
  }

  /** The server has lost the tunnel of `driver`, or without one all that it had. */
  lost(driver: SimDriver | undefined): void {
    for (const end of this.#ends.server.values()) {
      if (driver === undefined || end.belongsTo(driver)) end.vanish();
    }
    // What never left goes on in the tunnel that comes next.
    for (const request of this.#requests.values()) request.mayBeLost ||= request.sealed;
  }

  /** The client gives its tunnel up: what was started breaks. The server may have it for a while yet. */
  givenUp(): void {
    for (const request of this.#requests.values()) request.mayBeLost ||= request.sealed;
  }

  /**
   * Ends at the client of streams that were started and are not complete. Where the server goes away, one that it never
   * had waits for another server, though its ProxyConnect had gone out on a link that broke.
   */
  get startedAtClient(): Endpoint[] {
    const open = [...this.#ends.client].filter(
      ([, { state, finished, finArrived }]) => state === "open" && !(finished && finArrived),
    );
    const mayWait = (runs: number) => runs === 0 && this.serverLeaves;
    return open.flatMap(([id, end]) => {
      const request = this.#requests.get(id);
      return request?.sealed && !mayWait(request.runs) ? [end] : [];
    });
  }

  /** Compares what one side holds with what it may hold. */
  audit(side: Side, { tunnel }: SimDriver): void {
    tunnel.check();
    const { streams, heldBytes } = tunnel.stats();
    let unread = 0;
    let holding = 0;
    for (const end of this.#ends[side].values()) {
      // What a lost tunnel of the server has sent comes on top, until its slot has a link again.
      if (end.unread === 0 || end.isOrphan) continue;
      unread += end.unread;
      holding += 1;
    }
    const { poolBytes, sendPoolBytes } = this.#options.plan;
    check(
      unread <= poolBytes + holding * LIMITS.exemptBytes,
      () => `the ${side} holds ${unread} unread bytes of ${holding} streams, its pool is ${poolBytes}`,
    );
    const bound = tunnelMemoryBound(Math.max(streams, holding), poolBytes, sendPoolBytes);
    check(heldBytes + unread <= bound, () => `the ${side} holds ${heldBytes + unread} of ${bound} bytes`);
  }

  get bytesToMove(): number {
    let sum = 0;
    for (const { client, server } of this.#requests.values()) sum += client.bytes + server.bytes;
    return sum;
  }

  /** The ends that are not done, as text. */
  get unfinished(): string[] {
    const ends = [...this.#ends.client.values(), ...this.#ends.server.values()];
    return ends.filter(({ state }) => state === "open").map((end) => `${end}`);
  }

  #trace(line: () => string): void {
    this.#options.trace.add(this.#options.nodes.client.clock.now, line);
  }
}
