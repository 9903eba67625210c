import { dialLink } from "../../../src/client/dial-link.ts";
import {
  type Destination,
  type DialResult,
  generateIdentity,
  type Identity,
  type Link,
  parseLink,
  Tunnel,
} from "../../../src/proto/index.ts";
import { silentLog } from "../../../src/runtime/log.ts";
import { secureRandom as random } from "../../../src/runtime/random.ts";
import { TunnelDriver } from "../../../src/runtime/tunnel-driver.ts";
import type { StreamListener } from "../../../src/runtime/tunnel-stream.ts";

const DIAL_DEADLINE_MS = 30_000;
const LOCALHOST = Uint8Array.of(127, 0, 0, 1);

/** What a stream of a light client does with what comes. */
export type Reading = "reads" | "never reads";

/**
 * A client without a process, a port or a directory of its own, so that a test can have a thousand: one tunnel with one
 * link that is dialled once. The handshake, the tunnel and the WebSocket are the product's.
 */
export class LightClient {
  readonly #driver: TunnelDriver;
  readonly #accepted = Promise.withResolvers<void>();
  /** Rejects when its link is gone: it has no other. */
  readonly #gone = Promise.withResolvers<never>();
  readonly #identity: Identity = generateIdentity(random);
  readonly #secret: Uint8Array;
  receivedBytes = 0;

  /** `secret` names the tunnel, 32 bytes. */
  constructor(secret: Uint8Array = random(32)) {
    this.#secret = secret;
    // Nobody may be waiting.
    for (const { promise } of [this.#accepted, this.#gone]) promise.catch(() => {});
    const fail = (reason: string) => {
      this.#accepted.reject(new Error(reason));
      this.#gone.reject(new Error(reason));
    };
    this.#driver = new TunnelDriver({
      tunnel: new Tunnel({ role: "client", random, padding: "padme" }),
      log: silentLog,
      onEvent: (event) => {
        if (event.kind === "accepted") this.#accepted.resolve();
        if (event.kind === "refused") fail(event.refusal);
      },
      onLinkLost: (_, reason) => fail(reason),
      onFailed: (error) => fail(error.message),
    });
  }

  /** Joins with an invite and resolves when the server has accepted the tunnel. */
  async join(invite: string): Promise<void> {
    const { url, serverKey, gateKey, secret } = parseLink(invite);
    const dial = {
      server: { url, serverKey, sequence: 0, gateKey },
      identity: this.#identity,
      random,
      padding: "padme",
      suites: ["aes-256-gcm"],
      slot: 0,
      gen: 0,
      deadlineMs: DIAL_DEADLINE_MS,
      signal: new AbortController().signal,
    } as const;
    const { link, carrier, listen } = await dialLink(dial);
    this.#driver.attach(link, carrier, (tunnel) => tunnel.offer(link, this.#secret, secret));
    this.#listen(link, listen);
    await this.#accepted.promise;
  }

  #listen(link: Link, listen: Awaited<ReturnType<typeof dialLink>>["listen"]): void {
    listen(
      (message) => this.#driver.receive(link, message),
      (reason) => this.#driver.lose(link, reason),
    );
  }

  /**
   * Opens a stream to a port of the server's loopback, sends `request` and counts what comes back. Resolves when the
   * server has connected it.
   */
  async open(port: number, request: string, reading: Reading): Promise<void> {
    const response = Promise.withResolvers<DialResult>();
    const destination: Destination = { host: { kind: "ipv4", address: LOCALHOST }, port };
    const listener: StreamListener = {
      onResponse: response.resolve,
      onData: (bytes) => {
        this.receivedBytes += bytes.length;
        if (reading === "reads") stream?.consumed(bytes.length);
      },
      onFin: () => {},
      onReset: (code) => response.reject(new Error(`reset: ${code}`)),
      onFull: () => {},
      onWritable: () => {},
    };
    const stream = this.#driver.open(destination, listener);
    if (stream === undefined) throw new Error("the tunnel takes no more streams");
    if (request !== "") stream.write(Buffer.from(request));
    const result = await Promise.race([response.promise, this.#gone.promise]);
    if (result !== "connected") throw new Error(`not connected: ${result}`);
  }

  /** Ends what is left of it on this side. Behind a black hole nobody else hears of that. */
  discard(): void {
    this.#driver.close("closed");
  }
}
