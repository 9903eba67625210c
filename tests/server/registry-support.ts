import { afterAll } from "bun:test";
import {
  ClientHandshake,
  type Destination,
  generateIdentity,
  Link,
  type ResetCode,
  ServerHandshake,
  Tunnel,
  type TunnelOptions,
} from "../../src/proto/index.ts";
import type { Carrier } from "../../src/runtime/carrier.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { TunnelDriver } from "../../src/runtime/tunnel-driver.ts";
import type { StreamListener, TunnelStream } from "../../src/runtime/tunnel-stream.ts";
import type { AdmissionLimits } from "../../src/server/client-account.ts";
import { type RegistryOptions, TunnelRegistry } from "../../src/server/registry.ts";
import { SERVER_LIMITS } from "../../src/server/server-limits.ts";
import { Dice } from "../sim/dice.ts";
import { toyKem } from "../sim/handshakes.ts";
import { dialersOf, to } from "./dialer-setup.ts";

const SUITES = ["aes-256-gcm"] as const;
const BOOT = new Uint8Array(16);
const dice = new Dice(1);
const serverIdentity = generateIdentity(dice.random);

export interface RegistryUnderTest extends Partial<Omit<RegistryOptions, "limits">> {
  readonly limits?: Partial<AdmissionLimits>;
}

/** A registry as the server has it, with real sockets to loopback behind it. Call once per test file. */
export function useRegistries(): (options?: RegistryUnderTest) => TunnelRegistry {
  const made: TunnelRegistry[] = [];
  afterAll(() => {
    for (const registry of made) registry.close();
  });
  return ({ limits = {}, ...options } = {}) => {
    const registry = new TunnelRegistry({
      dialers: dialersOf(),
      gateKey: () => new Uint8Array(32),
      random: dice.random,
      padding: "none",
      log: silentLog,
      resumeWindowMs: 200,
      detachedBytesInAll: Number.MAX_SAFE_INTEGER,
      ...options,
      limits: { ...SERVER_LIMITS, emptyTunnelMs: 100, ...limits },
    });
    made.push(registry);
    return registry;
  };
}

/** What the far end of a stream did, and how many bytes came. By default everything is taken at once. */
export class TestStream implements StreamListener {
  stream: TunnelStream | undefined;
  response: string | undefined;
  received = 0;
  ended = false;
  reset: ResetCode | undefined;
  readonly #reads: boolean;

  constructor(reads: boolean) {
    this.#reads = reads;
  }

  onResponse(result: string): void {
    this.response = result;
  }
  onData(bytes: Uint8Array): void {
    this.received += bytes.length;
    if (this.#reads) this.stream?.consumed(bytes.length);
  }
  onFin(): void {
    this.ended = true;
  }
  onReset(code: ResetCode): void {
    this.reset = code;
  }
  onFull(): void {}
  onWritable(): void {}
}

export interface TestClientOptions {
  readonly name?: string;
  readonly clientKey?: Uint8Array;
  readonly secret?: Uint8Array;
  readonly tunnel?: Partial<TunnelOptions>;
}

/** One client process in memory: the real tunnel and driver, handshakes with a cheap KEM, wires that never wait. */
export class TestClient {
  readonly name: string;
  readonly clientKey: Uint8Array;
  readonly secret: Uint8Array;
  readonly driver: TunnelDriver;
  readonly #registry: TunnelRegistry;
  readonly #cuts = new Map<number, () => void>();
  /** How the server took the last link: Accept's result, or the refusal. */
  outcome: string | undefined;

  constructor(registry: TunnelRegistry, options: TestClientOptions = {}) {
    this.#registry = registry;
    this.name = options.name ?? "client";
    this.clientKey = options.clientKey ?? generateIdentity(dice.random).publicKey;
    this.secret = options.secret ?? dice.random(32);
    this.driver = new TunnelDriver({
      tunnel: new Tunnel({ role: "client", random: dice.random, padding: "none", ...options.tunnel }),
      log: silentLog,
      onEvent: (event) => {
        if (event.kind === "accepted") this.outcome = event.result;
      },
      onLinkLost: () => {},
      onFailed: (error) => {
        throw error;
      },
    });
  }

  /** Offers a link and tells how the server took it. */
  async dial(gen: number, slot = 0): Promise<string> {
    this.outcome = undefined;
    const identity = generateIdentity(dice.random);
    const kemPublicKey = toyKem.publicKey(dice);
    const serverSide = new ServerHandshake({
      identity: serverIdentity,
      boot: BOOT,
      kemPublicKey,
      random: dice.random,
      suites: SUITES,
    });
    const { publicKey: serverKey } = serverIdentity;
    const clientSide = new ClientHandshake({ identity, serverKey, random: dice.random, suites: SUITES });
    clientSide.receive(serverSide.bundle);
    const now = performance.now();
    const { ratchet, prefix } = clientSide.finish(toyKem.encapsulate(dice, kemPublicKey), now);
    const link = new Link({ slot, gen, ratchet, padding: "none", jitter: 0, now });
    this.#join(link, prefix, (first) => {
      const { ciphertext } = serverSide.receive(first);
      const proven = serverSide.finish(toyKem.decapsulate(kemPublicKey, ciphertext), now);
      const { ratchet, frames: plaintext } = proven;
      return Link.ofFirstPacket({ ratchet, plaintext, padding: "none", jitter: 0, now });
    });
    for (let wait = 0; this.outcome === undefined && wait < 200; wait++) await Bun.sleep(1);
    return this.outcome ?? "nothing";
  }

  /** Two carriers back to back. The first message up is the handshake's, and takes the link into the registry. */
  #join(
    link: Link,
    prefix: Uint8Array,
    prove: (first: Uint8Array) => ReturnType<typeof Link.ofFirstPacket>,
  ): void {
    let open = true;
    let serverEnd: { link: Link; driver: TunnelDriver } | undefined;
    const later = (run: () => void): boolean => {
      if (open) queueMicrotask(() => open && run());
      return open;
    };
    const close = (): void => {
      if (!open) return;
      open = false;
      queueMicrotask(() => {
        this.driver.lose(link, "cut");
        if (serverEnd !== undefined) serverEnd.driver.lose(serverEnd.link, "cut");
      });
    };
    this.#cuts.set(link.slot, close);
    const down: Carrier = {
      send: (message) => later(() => this.driver.receive(link, message)),
      close,
    };
    const take = (message: Uint8Array): void => {
      if (serverEnd !== undefined) return serverEnd.driver.receive(serverEnd.link, message);
      const proven = prove(Uint8Array.from([...prefix, ...message]));
      const { name, clientKey } = this;
      const taken = this.#registry.take({ name, clientKey, carrier: down, ...proven });
      if (taken.kind === "taken") serverEnd = { link: proven.link, driver: taken.driver };
      else {
        this.outcome = taken.refusal;
        close();
      }
    };
    const up: Carrier = { send: (message) => later(() => take(message)), close };
    this.driver.attach(link, up, (tunnel) => tunnel.offer(link, this.secret));
  }

  /** The link of `slot` is cut. Both ends notice; what was under way is lost. */
  async cut(slot = 0): Promise<void> {
    this.#cuts.get(slot)?.();
    await Bun.sleep(0);
  }

  open(destination: Destination, reads = true): TestStream {
    const listener = new TestStream(reads);
    listener.stream = this.driver.open(destination, listener);
    if (listener.stream === undefined) throw new Error("no stream");
    return listener;
  }
}

/** A server on loopback that counts who connects, and sends each `bytes` bytes as fast as they are taken. */
export class Target {
  readonly #server: Bun.TCPSocketListener<{ left: number }>;
  accepted = 0;
  open = 0;
  sent = 0;

  constructor(bytes = 0, half = false) {
    const chunk = new Uint8Array(64 * 1024);
    const feed = (socket: Bun.Socket<{ left: number }>): void => {
      while (socket.data.left > 0) {
        const count = socket.write(chunk.subarray(0, Math.min(chunk.length, socket.data.left)));
        if (count <= 0) return;
        socket.data.left -= count;
        this.sent += count;
      }
      if (bytes > 0 && !half) socket.shutdown();
    };
    this.#server = Bun.listen<{ left: number }>({
      hostname: "127.0.0.1",
      port: 0,
      allowHalfOpen: true,
      data: { left: 0 },
      socket: {
        open: (socket) => {
          socket.data = { left: bytes };
          this.accepted += 1;
          this.open += 1;
          feed(socket);
        },
        drain: feed,
        data: () => {},
        end: (socket) => void socket.end(),
        close: () => {
          this.open -= 1;
        },
      },
    });
  }

  get destination(): Destination {
    return to("127.0.0.1", this.#server.port);
  }

  stop(): void {
    this.#server.stop(true);
  }
}

/** Waits until `condition` holds; tells what it waited for. */
export async function until(what: string, condition: () => boolean, limitMs = 5_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`in vain for ${limitMs} ms: ${what}`);
    await Bun.sleep(2);
  }
}

/** Nothing open, nothing kept, nothing running; only names are remembered. */
export const IDLE = {
  tunnels: 0,
  detached: 0,
  links: 0,
  streams: 0,
  heldBytes: 0,
  pooledBytes: 0,
  sockets: 0,
  detachedBytes: 0,
  timers: 0,
} as const;
