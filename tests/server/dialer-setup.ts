import type { SocketHandler } from "bun";
import type { Destination } from "../../src/proto/index.ts";
import { formatIp, parseIp } from "../../src/runtime/address.ts";
import { silentLog } from "../../src/runtime/log.ts";
import {
  createDialers,
  DialError,
  type Dialer,
  type DialerOptions,
  type DialerSource,
} from "../../src/server/dialer.ts";
import { DestinationPolicy } from "../../src/server/policy.ts";
import type { Connect } from "../../src/server/probe.ts";
import { createResolver, type Lookup } from "../../src/server/resolver.ts";

export const never = new AbortController().signal;
export const isLinux = process.platform === "linux";

export interface DialerSetup extends Partial<DialerOptions> {
  readonly allow?: string[];
  readonly deny?: string[];
  readonly names?: Record<string, string[]>;
}

/** The dialer of the only client. */
export function dialerOf(setup: DialerSetup = {}): Dialer {
  return dialersOf(setup).dialerOf("client");
}

export function dialersOf({
  allow = ["127.0.0.0/8", "::1"],
  deny = [],
  names = {},
  ...options
}: DialerSetup = {}): DialerSource {
  const lookup: Lookup = async (name) => {
    const addresses = names[name];
    if (addresses === undefined) throw Object.assign(new Error("no such name"), { code: "DNS_ENOTFOUND" });
    return addresses;
  };
  const policy = new DestinationPolicy({ allow, deny });
  return createDialers({ policy, resolver: createResolver({ lookup }), log: silentLog, ...options });
}

export function to(host: string, port: number): Destination {
  const address = parseIp(host);
  if (address === undefined) return { host: { kind: "name", name: host }, port };
  return { host: { kind: address.length === 4 ? "ipv4" : "ipv6", address }, port };
}

/** What a user of the dialer saw, in order. */
export function recorder(pauseInOpen = false): {
  setup: { handlers: SocketHandler<string>; data: string };
  events: string[];
} {
  const events: string[] = [];
  const handlers: SocketHandler<string> = {
    open(socket) {
      if (pauseInOpen) socket.pause();
      events.push(`open ${socket.data}`);
    },
    data: (_, bytes) => void events.push(`data ${bytes.toString()}`),
    end: () => void events.push("end"),
    close: () => void events.push("close"),
  };
  return { setup: { handlers, data: "mine" }, events };
}

export async function errorOf(dial: Promise<unknown>): Promise<DialError> {
  const result = await dial.catch((error: unknown) => error);
  if (result instanceof DialError) return result;
  throw new Error(`expected a DialError, got ${result}`);
}

export async function until(condition: () => boolean): Promise<void> {
  for (const start = performance.now(); !condition(); await Bun.sleep(1)) {
    if (performance.now() - start > 3_000) throw new Error("waited too long");
  }
}

const servers: { stop(closeActive: boolean): void }[] = [];

/** For `afterEach`: ends what `serve` started. */
export function stopServers(): void {
  for (const server of servers.splice(0)) server.stop(true);
}

export function serve(socket: Partial<SocketHandler<undefined>> = {}, hostname = "127.0.0.1"): number {
  const server = Bun.listen({ hostname, port: 0, allowHalfOpen: true, socket: { data() {}, ...socket } });
  servers.push(server);
  return server.port;
}

export function closedPort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  server.stop(true);
  return server.port;
}

export interface Tried {
  readonly address: string;
  readonly at: number;
  abandoned: boolean;
  fail(failure?: DialError["failure"]): void;
}

/** A way to connect that does only what the test says. */
export function scriptedConnect(): { connect: Connect; tried: Tried[] } {
  const tried: Tried[] = [];
  const connect: Connect = (address, _port, events) => {
    const attempt: Tried = {
      address: formatIp(address),
      at: performance.now(),
      abandoned: false,
      fail: (failure = "refused") => events.failed(new DialError(failure, "scripted")),
    };
    tried.push(attempt);
    const abandon = (): void => {
      attempt.abandoned = true;
    };
    return { abandon };
  };
  return { connect, tried };
}
