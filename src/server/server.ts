import http from "node:http";
import type { Server, ServerWebSocket } from "bun";
import { kem, LIMITS, type PaddingPolicy, type Random } from "../proto/index.ts";
import { type ControlRequest, type Json, type JsonObject, serveControl } from "../runtime/control.ts";
import { listenError } from "../runtime/listen-error.ts";
import type { Log } from "../runtime/log.ts";
import { unpaceListener } from "../runtime/loopback.ts";
import { residentBytes } from "../runtime/machine.ts";
import { secureRandom } from "../runtime/random.ts";
import { handleAdmin, type LiveServer } from "./admin.ts";
import type { TrustedProxies } from "./client-address.ts";
import { Connection } from "./connection.ts";
import { descriptorWarning, limitsWithin } from "./descriptor-limits.ts";
import { createDialers } from "./dialer.ts";
import { Gate, sessionCookie } from "./gate.ts";
import { IdleConnections, peerName } from "./idle-connections.ts";
import { LinkBuckets } from "./link-buckets.ts";
import type { DestinationPolicy } from "./policy.ts";
import { SparePool } from "./pool.ts";
import { TunnelRegistry } from "./registry.ts";
import type { TunnelCounts } from "./registry-stats.ts";
import { SERVER_LIMITS } from "./server-limits.ts";
import { builtInSite, directorySite, type Site } from "./site.ts";
import type { ServerStore } from "./store.ts";
import { STORE_LIMITS } from "./store-limits.ts";
import { createSystemResolver } from "./system-resolver.ts";
import { wsCarrier } from "./ws-carrier.ts";

export interface ServerOptions {
  readonly hostname: string;
  readonly port: number;
  /** Path of the WebSocket, beginning with "/". Every other path is the site's. */
  readonly path: string;
  readonly store: ServerStore;
  readonly stateDir: string;
  readonly decoyDir?: string;
  /** Where clients may connect to. */
  readonly policy: DestinationPolicy;
  /** Proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: TrustedProxies;
  readonly padding: PaddingPolicy;
  readonly drainMs: number;
  /** How long a tunnel without a link keeps its streams; 0: not at all. */
  readonly resumeWindowMs: number;
  /** Whether sockets are connected ahead of need. */
  readonly pool: boolean;
  /** How many descriptors there are for connections of all kinds, if that is known. */
  readonly descriptors?: number;
  readonly log: Log;
}

export interface RunningServer {
  readonly hostname: string;
  readonly port: number;
  /** Takes nothing new, lets streams finish for the drain time, then ends. Again: ends at once. */
  stop(): Promise<void>;
  status(): JsonObject;
}

/** Nothing longer is buffered: the largest message of the protocol is a body. */
const MAX_MESSAGE_BYTES = LIMITS.maxChunkBytes;

interface SocketData {
  readonly connection: Connection;
  /** Its other end, as IdleConnections knows it. */
  readonly peer: string;
}

/**
 * Starts a server: gate and site on one port, the control socket beside it.
 * @throws UsageError when the port is taken or a server already runs in this directory
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const server = new RvpnServer(options);
  await server.start();
  return server;
}

class RvpnServer implements RunningServer, LiveServer {
  readonly #options: ServerOptions;
  readonly #registry: TunnelRegistry;
  readonly #pool: SparePool | undefined;
  readonly #gate: Gate;
  readonly #site: Site;
  readonly #proxies: TrustedProxies;
  readonly #buckets = new LinkBuckets();
  readonly #random: Random = secureRandom;
  /** Tells clients of this process from those of the one before: their streams are gone. */
  readonly #boot: Uint8Array = secureRandom(16);
  readonly #unproven = new Set<Connection>();
  readonly #maxUnproven: number;
  /** The other ends of all WebSockets. */
  readonly #peers = new Set<string>();
  #http: Server<SocketData> | undefined;
  #control: { look(): void; close(): void } | undefined;
  #expirySweeper: ReturnType<typeof setInterval> | undefined;
  #crowdLooker: ReturnType<typeof setInterval> | undefined;
  #stopping = false;
  readonly hostname: string;

  constructor(options: ServerOptions) {
    const { store, path, decoyDir, policy, padding, resumeWindowMs, log } = options;
    const { admission, pool, unproven, pendingDials } = limitsWithin(options.descriptors);
    this.#maxUnproven = unproven;
    this.#options = options;
    this.hostname = options.hostname;
    const dialers = createDialers({ policy, resolver: createSystemResolver(log), log, pendingDials });
    this.#pool = options.pool ? new SparePool({ dialers, policy, log, limits: pool }) : undefined;
    this.#registry = new TunnelRegistry({
      dialers,
      ...(this.#pool === undefined ? {} : { pool: this.#pool }),
      gateKey: () => store.gateKeys()[0],
      random: this.#random,
      padding,
      log,
      resumeWindowMs,
      limits: admission,
    });
    this.#gate = new Gate({ gateKeys: () => store.gateKeys(), path });
    this.#proxies = options.trustedProxies;
    this.#site = decoyDir === undefined ? builtInSite(store.keys.firstKey) : directorySite(decoyDir);
  }

  get port(): number {
    return this.#http?.port ?? this.#options.port;
  }

  get #address(): string {
    const host = this.hostname.includes(":") ? `[${this.hostname}]` : this.hostname;
    return `${host}:${this.port}`;
  }

  async start(): Promise<void> {
    this.#control = await serveControl(this.#options.stateDir, (request) => this.#admin(request));
    try {
      this.#http = this.#listen();
      unpaceListener(this.port);
    } catch (error) {
      this.#registry.close();
      this.#control.close();
      throw error;
    }
    this.#expirySweeper = setInterval(() => this.#dropUnwelcome("expired"), SERVER_LIMITS.expirySweepMs);
    const idle = IdleConnections.open({ port: this.port, isLink: (peer) => this.#peers.has(peer) });
    this.#crowdLooker = setInterval(() => {
      idle?.look();
      this.#control?.look();
    }, SERVER_LIMITS.crowdLookMs);
    const warning = descriptorWarning(this.#options.descriptors);
    if (warning !== undefined) this.#options.log.warn(warning);
    if (!this.#options.policy.knowsMachine)
      this.#options.log.warn(
        "the addresses of this machine cannot be read: every address is refused as one of them",
      );
    this.#options.log.info("listening", { address: this.#address, path: this.#options.path });
  }

  #listen(): Server<SocketData> {
    const { hostname, port, log } = this.#options;
    // Bun.serve has no option of its own for it. The types say read-only, which Node is and Bun is not.
    Object.assign(http, { maxHeaderSize: SERVER_LIMITS.requestHeadBytes });
    try {
      return Bun.serve<SocketData>({
        hostname,
        port,
        // Bodies are never read: how long they claim to be must not matter.
        maxRequestBodySize: Number.MAX_SAFE_INTEGER,
        idleTimeout: SERVER_LIMITS.idleHttpSeconds,
        fetch: (request, server) => this.#fetch(request, server),
        error: (error) => {
          log.error("request failed", { reason: error.message });
          return new Response(null, { status: 500 });
        },
        websocket: {
          data: undefined as unknown as SocketData, // Bun reads the type from here, never the value.
          perMessageDeflate: false,
          backpressureLimit: 0,
          maxPayloadLength: MAX_MESSAGE_BYTES,
          // Liveness is the tunnel's: Bun's own pings would only add a pattern.
          idleTimeout: 0,
          sendPings: false,
          open: (ws) => ws.data.connection.opened(wsCarrier(ws)),
          message: (ws, message) => this.#message(ws, message),
          close: (ws, code) => {
            this.#peers.delete(ws.data.peer);
            ws.data.connection.closed(`the connection closed (${code})`);
          },
        },
      });
    } catch (error) {
      throw listenError(error, { hostname, port, flag: "--listen" });
    }
  }

  async #fetch(request: Request, server: Server<SocketData>): Promise<Response | undefined> {
    if (!this.#gate.admits(request)) return this.#site.respond(request);
    const from = server.requestIP(request);
    const peer = peerName(from?.address ?? "", from?.port ?? 0);
    const address = this.#proxies.clientOf(from?.address ?? "", request.headers.get("x-forwarded-for"));
    if (!this.#buckets.take(address, performance.now())) {
      this.#options.log.debug("too many links that prove no client", { address });
      return this.#site.respond(request);
    }
    const { store, padding, log } = this.#options;
    const pair = await kem.generateKeyPair();
    const registry = this.#registry;
    const connection: Connection = new Connection({
      store,
      registry,
      boot: this.#boot,
      gateGeneration: store.gateGeneration(sessionCookie(request) ?? ""),
      kem: pair,
      random: this.#random,
      padding,
      log,
      onSettled: () => this.#unproven.delete(connection),
      onAdmitted: () => this.#buckets.giveBack(address, performance.now()),
    });
    // Before it is one: what closes at once has closed by the end of the upgrade.
    this.#peers.add(peer);
    if (server.upgrade(request, { data: { connection, peer } })) {
      this.#limitUnproven(connection);
      return undefined;
    }
    this.#peers.delete(peer);
    connection.end();
    return this.#site.respond(request);
  }

  // Holders of the gate key who never go on: the oldest goes first, as it has had the longest time.
  #limitUnproven(connection: Connection): void {
    this.#unproven.add(connection);
    const [oldest] = this.#unproven;
    if (this.#unproven.size > this.#maxUnproven) oldest?.end();
  }

  #message(ws: ServerWebSocket<SocketData>, message: string | Buffer): void {
    if (typeof message === "string") return ws.data.connection.text();
    ws.data.connection.message(message);
  }

  #admin(request: ControlRequest): Json {
    const { store } = this.#options;
    if (request.op === "status") return this.status();
    const [before] = store.gateKeys();
    const fallbackUrl = `ws://${this.#address}${this.#options.path}`;
    const reply = handleAdmin(store, { fallbackUrl, ...request }, this);
    if (request.op === "revoke") this.#afterRevoke(before);
    if (request.op === "rotate") this.#options.log.info("the identity was renewed");
    return reply;
  }

  #dropUnwelcome(reason: string): void {
    const { store } = this.#options;
    this.#registry.dropUnless((clientKey) => store.knows(clientKey), reason);
  }

  // Revocation takes effect in the same tick: live links, waiting tunnels, and the gate for everybody who is left.
  #afterRevoke(gateKeyBefore: Uint8Array): void {
    const { store } = this.#options;
    this.#dropUnwelcome("revoked");
    const [gateKey] = store.gateKeys();
    if (gateKey === gateKeyBefore) {
      const { maxGateKeys } = STORE_LIMITS;
      this.#options.log.warn("the gate's key was not renewed", { reason: `${maxGateKeys} keys are in use` });
    } else store.gateKeySent(this.#registry.sendGateKey(gateKey));
  }

  async stop(): Promise<void> {
    const again = this.#stopping;
    this.#stopping = true;
    if (!again) await this.#registry.drain(this.#options.drainMs);
    clearInterval(this.#expirySweeper);
    clearInterval(this.#crowdLooker);
    this.#registry.close();
    this.#control?.close();
    await this.#http?.stop(true);
  }

  status(): JsonObject {
    return {
      running: true,
      pid: process.pid,
      address: this.#address,
      ...this.#registry.stats(),
      unproven: this.#unproven.size,
      ...(this.#pool === undefined ? {} : { pool: this.#pool.stats() }),
      rssBytes: residentBytes(),
    };
  }

  clientStats(key: Uint8Array): TunnelCounts | undefined {
    return this.#registry.clientStats(key);
  }
}
