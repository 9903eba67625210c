import { getServers, setServers } from "node:dns";
import { readFileSync } from "node:fs";
import { parseIp } from "../runtime/address.ts";
import { withReserve } from "../runtime/descriptors.ts";
import { messageOf } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { RESOLVE_LIMITS } from "./limits.ts";
import { createResolver, isNotFound, type Lookup, type Resolver } from "./resolver.ts";

/** The resolver of a server: this host's own, within RESOLVE_LIMITS. */
export function createSystemResolver(log: Log): Resolver {
  return createResolver({ lookup: createSystemLookup(log) });
}

/**
 * Looks names up as this host does: hosts file, search list and name servers of /etc/resolv.conf.
 *
 * By c-ares and not by getaddrinfo (`backend: "system"`, node:dns lookup), because Bun runs getaddrinfo on the work
 * pool it also uses for files and WebCrypto, two at a time on two cores: eight names with a slow name server stopped
 * WebCrypto, and so every handshake, for 8 s (measured, docs/BUN-NOTES.md). c-ares uses no threads, asks for both
 * families at once, sorts by RFC 6724, shares look-ups under way and caches answers. It does not know NSS modules
 * (mDNS, LDAP). inet_aton forms such as `127.1`, of which it reads some and asks for others, never come here
 * (ipv4-spelling.ts).
 */
export function createSystemLookup(log: Log, resolvConf = "/etc/resolv.conf"): Lookup {
  const nameServers = new NameServers(resolvConf, log);
  return async (name) => {
    try {
      return await lookup(name);
    } catch (error) {
      if (isNotFound(error) || !nameServers.reload()) throw error;
      return await lookup(name);
    }
  };
}

async function lookup(name: string): Promise<string[]> {
  // c-ares opens its sockets at once.
  const answers = await withReserve("dials", () => Bun.dns.lookup(name, { backend: "c-ares" }));
  return answers.map(({ address }) => address);
}

/**
 * c-ares reads /etc/resolv.conf once in the life of the process. A server that starts at boot before the network is up,
 * or whose network changes, would look names up in vain until it is restarted.
 */
class NameServers {
  readonly #path: string;
  readonly #log: Log;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** Takes the name servers of the file, if they are others than those in use. True where it is worth asking again. */
  reload(): boolean {
    const now = performance.now();
    if (now - this.#readAt < RESOLVE_LIMITS.reloadIntervalMs) return false;
    this.#readAt = now;
    try {
      const servers = readNameServers(this.#path);
      if (servers.length === 0 || servers.join() === getServers().join()) return false;
      setServers(servers);
      this.#log.info("name servers changed", { servers: servers.join(" ") });
      return true;
    } catch (error) {
      this.#log.warn("name servers could not be read", { file: this.#path, reason: messageOf(error) });
      return false;
    }
  }
}

/** The `nameserver` lines of resolv.conf(5). Those with a zone id are left out: setServers does not take them. */
function readNameServers(path: string): string[] {
  const lines = readFileSync(path, "utf8").split("\n");
  const texts = lines.map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? "");
  return texts.filter((text) => parseIp(text) !== undefined);
}
