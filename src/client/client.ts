import type { PaddingPolicy, Refusal, Successor, Suite } from "../proto/index.ts";
import { type ControlRequest, type ControlServer, type Json, serveControl } from "../runtime/control.ts";
import { UsageError } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { secureRandom } from "../runtime/random.ts";
import { Keeper } from "./keeper.ts";
import { OriginPool, type OriginPoolStats } from "./proxy/http-pool.ts";
import type { ProxyCredentials } from "./proxy/negotiation.ts";
import { ProxyListener } from "./proxy-listener.ts";
import type { LinkState } from "./slot-keeper.ts";
import type { SlotStatus } from "./slot-status.ts";
import type { ClientStore, KnownServer } from "./store.ts";

export type { SlotStatus } from "./slot-status.ts";

export interface ClientOptions {
  readonly server: KnownServer;
  readonly store: ClientStore;
  readonly stateDir: string;
  readonly hostname: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly credentials?: ProxyCredentials;
  /** PEM text of the authorities to trust in place of the system's. */
  readonly ca?: string;
  /** The one suite to use; by default the server's first that we like. */
  readonly suite?: Suite;
  readonly padding: PaddingPolicy;
  readonly optimistic: boolean;
  /** Whether connections to origins of plain HTTP are kept for further requests. */
  readonly pool: boolean;
  /** How many links at once, from 1 to `LIMITS.maxLinks`. */
  readonly links: number;
  /** How long a request waits for a link, in ms. */
  readonly waitMs: number;
  readonly log: Log;
}

export type ClientEnd =
  | { readonly kind: "stopped" }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "wrongServer" }
  | { readonly kind: "failed"; readonly error: Error };

/** What `rvpn status` shows. A type, not an interface, so that it is known to be JSON. */
export type ClientStatus = {
  readonly running: true;
  readonly pid: number;
  readonly proxy: string;
  /** Applications must show a user and a password. */
  readonly proxyPassword: boolean;
  readonly server: string;
  /** `up` if any link is. */
  readonly link: LinkState;
  /** When the oldest link came up that is up, or when the last one was lost, ISO 8601. */
  readonly since: string;
  /** The shortest of the links' round trips. */
  readonly rttMs?: number;
  /** How often links came up again, of all slots together. */
  readonly reconnects: number;
  readonly lastReason?: string;
  readonly streams: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Connections to origins of plain HTTP, where they are kept. */
  readonly pool?: OriginPoolStats;
  /** Every slot of `--links`. */
  readonly links: readonly SlotStatus[];
};

export interface RunningClient {
  readonly hostname: string;
  readonly port: number;
  /** Resolves with the first Accept. */
  readonly firstLink: Promise<void>;
  /** Never rejects. */
  readonly finished: Promise<ClientEnd>;
  /** Why the last dial or link failed, one sentence. */
  lastProblem(): string | undefined;
  status(): ClientStatus;
  stop(): Promise<void>;
}

/**
 * Starts a client: the proxy port listens at once, requests wait for the link.
 * @throws UsageError when the port is taken or a client already runs in this directory
 */
export async function startClient(options: ClientOptions): Promise<RunningClient> {
  const client = new RvpnClient(options);
  await client.start();
  return client;
}

class RvpnClient implements RunningClient {
  readonly #options: ClientOptions;
  readonly #keeper: Keeper;
  readonly #origins: OriginPool;
  readonly #firstLink = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<ClientEnd>();
  #proxy: ProxyListener | undefined;
  #control: ControlServer | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#origins = new OriginPool({ keeps: options.pool });
    const { store, server, padding, suite, ca, links, log } = options;
    this.#keeper = new Keeper({
      server: () => store.server ?? server,
      identity: store.identity,
      random: secureRandom,
      padding,
      links,
      suites: suite === undefined ? ["aes-256-gcm", "chacha20-poly1305"] : [suite],
      log,
      onAccepted: () => this.#accepted(),
      onSuccessor: (successor) => this.#moved(successor),
      onGateKey: (key) => this.#keep(() => store.replaceGateKey(key)),
      onEnd: (end) => this.#ended(end),
      ...(ca === undefined ? {} : { ca }),
    });
  }

  get hostname(): string {
    return this.#options.hostname;
  }

  get port(): number {
    return this.#proxy?.port ?? this.#options.port;
  }

  get firstLink(): Promise<void> {
    return this.#firstLink.promise;
  }

  get finished(): Promise<ClientEnd> {
    return this.#finished.promise;
  }

  async start(): Promise<void> {
    const { stateDir, hostname, port, credentials, optimistic, waitMs, log } = this.#options;
    this.#control = await serveControl(stateDir, (request) => this.#answer(request));
    try {
      this.#proxy = new ProxyListener(hostname, port, {
        keeper: this.#keeper,
        origins: this.#origins,
        optimistic,
        waitMs,
        onReject: (reason) => log.debug("request rejected", { reason }),
        ...(credentials === undefined ? {} : { credentials }),
      });
    } catch (error) {
      this.#control.close();
      throw error;
    }
    this.#keeper.start();
  }

  #accepted(): void {
    const { store } = this.#options;
    if (store.server?.joined === false) this.#keep(() => store.markJoined());
    this.#firstLink.resolve();
  }

  #moved(successor: Successor): void {
    const { store, log } = this.#options;
    this.#keep(() => {
      if (!store.movePin(successor)) return;
      log.info("the server has renewed its identity", { rotation: successor.sequence });
    });
  }

  /** The keeper has given up. */
  #ended(end: ClientEnd): void {
    const { store, log } = this.#options;
    if (end.kind === "refused") {
      this.#keep(() => {
        if (store.goBack()) log.warn("the link was refused: without it this client is what it was before");
      });
    }
    void this.#end(end);
  }

  // A full disk must not end a tunnel that works; the next start may need a new link, so it is said.
  #keep(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.#options.log.warn("the client's state was not saved", { reason: error.message });
    }
  }

  #answer(request: ControlRequest): Json {
    switch (request.op) {
      case "status":
        return this.status();
      case "stop":
        setTimeout(() => void this.stop(), 0);
        return { stopping: true, pid: process.pid };
      default:
        throw new UsageError(`a client does not know "${request.op}"`, "ask for status or stop");
    }
  }

  lastProblem(): string | undefined {
    return this.#keeper.lastProblem;
  }

  status(): ClientStatus {
    const { driver, state, since, reconnects, lastProblem } = this.#keeper;
    const links = this.#keeper.slots();
    const rtts = links.flatMap(({ rttMs }) => rttMs ?? []);
    return {
      running: true,
      pid: process.pid,
      proxy: `${this.hostname.includes(":") ? `[${this.hostname}]` : this.hostname}:${this.port}`,
      proxyPassword: this.#options.credentials !== undefined,
      server: (this.#options.store.server ?? this.#options.server).url,
      link: state,
      since,
      reconnects,
      streams: driver.streamCount,
      bytesUp: driver.bytesOut,
      bytesDown: driver.bytesIn,
      links,
      ...(this.#origins.keeps ? { pool: this.#origins.stats() } : {}),
      ...(rtts.length === 0 ? {} : { rttMs: Math.min(...rtts) }),
      ...(lastProblem === undefined ? {} : { lastReason: lastProblem }),
    };
  }

  stop(): Promise<void> {
    return this.#end({ kind: "stopped" });
  }

  async #end(end: ClientEnd): Promise<void> {
    this.#origins.close();
    this.#keeper.stop();
    this.#proxy?.close();
    this.#control?.close();
    this.#finished.resolve(end);
  }
}
