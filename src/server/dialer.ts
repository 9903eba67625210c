import type { Socket, SocketHandler } from "bun";
import { type Destination, type Host, unreachable } from "../proto/index.ts";
import { formatIp, mappedIpv4 } from "../runtime/address.ts";
import { withReserve } from "../runtime/descriptors.ts";
import { messageOf } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { openLinuxConnect } from "./connect-linux.ts";
import { connectPortably } from "./connect-portable.ts";
import { DialError } from "./dial-error.ts";
import { FairShare } from "./fair-share.ts";
import { interleaveFamilies, Race } from "./happy-eyeballs.ts";
import { spelledIpv4 } from "./ipv4-spelling.ts";
import { DIAL_LIMITS } from "./limits.ts";
import type { Decision, DestinationPolicy } from "./policy.ts";
import { type Connect, handOver } from "./probe.ts";
import { ResolveError, type Resolver } from "./resolver.ts";

export { DialError } from "./dial-error.ts";

/** What Bun gives a socket: its handlers, and what they find as `socket.data`. */
export interface SocketSetup<T> {
  readonly handlers: SocketHandler<T>;
  readonly data: T;
}

/** Connects to destinations. */
export interface Dialer {
  /**
   * Resolves, judges each address, connects to the first permitted one that answers. The socket is half-open capable
   * (`shutdown()` sends FIN, the other way stays open), without Nagle's delay, and not inherited by child processes.
   *
   * `handlers.open` is called once, when the connection stands: before any other handler and before the promise
   * resolves, so pausing in it holds the first bytes back. No handler hears of addresses that failed.
   *
   * Rejects with DialError only. After `signal` aborts it rejects at once with `general` and the signal's reason as
   * cause, and nothing stays open; a socket that had connected in the same tick is terminated (its `close` is called).
   */
  dial<T>(destination: Destination, socket: SocketSetup<T>, signal: AbortSignal): Promise<Socket<T>>;
}

/** Gives each client a dialer. */
export interface DialerSource {
  /** The dialer of one client, by its identity: what is under way of it counts against its own share. */
  dialerOf(client: string): Dialer;
}

export interface DialerOptions {
  readonly policy: DestinationPolicy;
  readonly resolver: Resolver;
  readonly log: Log;
  readonly deadlineMs?: number;
  /** Of all clients at once. */
  readonly pendingDials?: number;
  /** How to connect to one address; by default what this platform does best. */
  readonly connect?: Connect;
}

/** Dialers for this platform. They open nothing until they dial. */
export function createDialers(options: DialerOptions): DialerSource {
  return new PolicyDialers(options);
}

class PolicyDialers implements DialerSource {
  readonly #policy: DestinationPolicy;
  readonly #resolver: Resolver;
  readonly #log: Log;
  readonly #deadlineMs: number;
  readonly #connect: Connect;
  readonly #pending: FairShare;

  constructor(options: DialerOptions) {
    const { policy, resolver, log, connect } = options;
    const { deadlineMs = DIAL_LIMITS.deadlineMs, pendingDials = DIAL_LIMITS.pendingDials } = options;
    this.#pending = new FairShare(pendingDials);
    this.#policy = policy;
    this.#resolver = resolver;
    this.#log = log;
    this.#deadlineMs = deadlineMs;
    const really = connect ?? openLinuxConnect() ?? connectPortably;
    this.#connect = (...target) => withReserve("dials", () => really(...target));
  }

  dialerOf(client: string): Dialer {
    return { dial: (destination, setup, signal) => this.#dial(client, destination, setup, signal) };
  }

  async #dial<T>(
    client: string,
    { host, port }: Destination,
    setup: SocketSetup<T>,
    signal: AbortSignal,
  ): Promise<Socket<T>> {
    if (!this.#pending.take(client))
      throw new DialError("overloaded", "the client has too many dials under way");
    const end = new DialEnd(signal, this.#deadlineMs);
    try {
      end.signal.throwIfAborted();
      const addresses = await end.before(this.#resolve(host, client));
      const permitted = this.#permitted(addresses, port);
      const socket = await this.#race(permitted, port, setup, end.signal);
      // The race was won, but the end came before this line: nobody waits for the socket.
      if (end.signal.aborted) socket.terminate();
      end.signal.throwIfAborted();
      return socket;
    } finally {
      this.#pending.giveBack(client);
      end.release();
    }
  }

  async #resolve(host: Host, client: string): Promise<readonly Uint8Array[]> {
    switch (host.kind) {
      case "ipv4":
      case "ipv6":
        return [host.address];
      case "name":
        return await this.#resolveName(host.name, client);
      default:
        return unreachable(host);
    }
  }

  async #resolveName(name: string, client: string): Promise<readonly Uint8Array[]> {
    const spelled = spelledIpv4(name);
    if (spelled === "none") throw new DialError("nameNotFound", `${name} is no address and no name`);
    if (spelled !== undefined) return [spelled];
    return await this.#resolver(name, client).catch((error: unknown) => {
      const failure = error instanceof ResolveError ? error.failure : "nameServerFailed";
      throw new DialError(failure, messageOf(error), { cause: error });
    });
  }

  /** The addresses to connect to, in order. Throws DialError if the policy leaves none. */
  #permitted(addresses: readonly Uint8Array[], port: number): Uint8Array[] {
    const permitted: Uint8Array[] = [];
    let grant: Decision | undefined;
    let refusal: Decision | undefined;
    for (const address of addresses) {
      const decision = this.#policy.decide(address, port);
      // A mapped address is dialled as the IPv4 address it is, which needs no IPv6 in the kernel.
      if (decision.permitted) {
        permitted.push(mappedIpv4(address) ?? address);
        grant ??= decision;
      } else refusal ??= decision;
    }
    if (grant !== undefined) {
      this.#log.debug("destination permitted", { port, rule: grant.rule });
      if (refusal !== undefined) this.#log.debug("addresses left out by policy", { rule: refusal.rule });
      return interleaveFamilies(permitted).slice(0, DIAL_LIMITS.addressesPerDial);
    }
    if (refusal === undefined) throw new DialError("nameNotFound", "the name has no addresses");
    const denied = addresses.map(formatIp).join(" ");
    throw new DialError("policy", `${denied} port ${port}: denied by ${refusal.rule}`, {
      rule: refusal.rule,
    });
  }

  #race<T>(
    addresses: Uint8Array[],
    port: number,
    setup: SocketSetup<T>,
    end: AbortSignal,
  ): Promise<Socket<T>> {
    const { promise, resolve, reject } = Promise.withResolvers<Socket<T>>();
    const race = new Race({
      addresses,
      port,
      connect: this.#connect,
      staggerMs: DIAL_LIMITS.staggerMs,
      won: (probe) => {
        const socket = handOver(probe, setup.handlers, setup.data);
        resolve(socket);
        void setup.handlers.open?.(socket);
      },
      lost: reject,
    });
    end.addEventListener("abort", () => {
      race.stop();
      reject(end.reason);
    });
    if (end.aborted) reject(end.reason);
    else race.start();
    return promise;
  }
}

/** The end of a dial that has not connected: the deadline, or the caller's signal. Its reason is a DialError. */
class DialEnd {
  readonly #controller = new AbortController();
  readonly #callers: AbortSignal;
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(callers: AbortSignal, deadlineMs: number) {
    this.#callers = callers;
    this.#timer = setTimeout(() => {
      this.#controller.abort(new DialError("timeout", `no connection in ${deadlineMs} ms`));
    }, deadlineMs);
    if (callers.aborted) this.#onAbort();
    else callers.addEventListener("abort", this.#onAbort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What `work` gives, unless the end comes first. */
  async before<R>(work: Promise<R>): Promise<R> {
    const { promise, reject } = Promise.withResolvers<never>();
    const onEnd = (): void => reject(this.signal.reason);
    this.signal.addEventListener("abort", onEnd);
    try {
      return await Promise.race([work, promise]);
    } finally {
      this.signal.removeEventListener("abort", onEnd);
    }
  }

  /** Lets go of timer and signal, so that a long-lived signal does not keep finished dials. */
  release(): void {
    clearTimeout(this.#timer);
    this.#callers.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    const cause: unknown = this.#callers.reason;
    this.#controller.abort(new DialError("general", "the dial was abandoned", { cause }));
  };
}
