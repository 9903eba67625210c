import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ClientOptions } from "../client/client.ts";
import { ClientStore, type KnownServer } from "../client/store.ts";
import { LIMITS, type ServerLink } from "../proto/index.ts";
import { isLoopback, parseIp } from "../runtime/address.ts";
import { messageOf, UsageError } from "../runtime/errors.ts";
import type { LogLevel } from "../runtime/log.ts";
import { secureRandom } from "../runtime/random.ts";
import { logLevelFlag } from "./command.ts";
import { credentialFlags, readCredentials } from "./credentials.ts";
import type { Flag } from "./flags.ts";
import { clientStateFlag, countOf, logOf, paddingFlag, poolFlag, stateDirOf, timerOf } from "./options.ts";
import type { Args } from "./strict-args.ts";

/** What `client` and `run` have in common: how the tunnel is made. */
export const tunnelFlags = {
  state: clientStateFlag,
  timeout: {
    type: "string",
    valueHint: "DURATION",
    description: "give up when the server is not reached within this time",
  },
  ca: {
    type: "string",
    valueHint: "FILE",
    description:
      "a PEM file with the certificates of the authority that the server's TLS is to be trusted by",
  },
  ...credentialFlags,
  "insecure-ws": {
    type: "boolean",
    description:
      "allow a ws:// link to another machine: without TLS anybody on the way sees that this is rvpn",
  },
  suite: {
    type: "string",
    valueHint: "SUITE",
    choices: ["aes-256-gcm", "chacha20-poly1305"],
    description: "the cipher: aes-256-gcm or chacha20-poly1305; default aes-256-gcm, the faster one",
  },
  padding: paddingFlag,
  optimistic: {
    type: "boolean",
    description:
      "answer the proxy's users before the far end is reached: saves a round trip, hides why a dial fails",
  },
  pool: {
    ...poolFlag,
    description: "keep connections to origins of plain HTTP for further requests: on or off",
  },
  links: {
    type: "string",
    valueHint: "N",
    default: "1",
    description: `how many links to the server at once, 1 to ${LIMITS.maxLinks}; each stream stays on one of them`,
  },
  wait: {
    type: "string",
    valueHint: "DURATION",
    default: "15s",
    description: "how long a request waits while there is no link, or the server goes away",
  },
  "log-level": logLevelFlag,
} as const satisfies Record<string, Flag>;

/** What the flags say about the tunnel: all of ClientOptions but the port, and which server it is. */
export interface TunnelOptions extends Omit<ClientOptions, "server" | "store" | "hostname" | "port"> {
  readonly insecureWs: boolean;
  readonly timeoutMs: number | undefined;
}

export function readTunnelOptions(
  args: Args<typeof tunnelFlags>,
  report: { otherwise: LogLevel; timestamps: boolean },
): TunnelOptions {
  const { values, nameOf } = args;
  const credentials = readCredentials(args);
  return {
    stateDir: stateDirOf(values.state, "client"),
    timeoutMs: values.timeout === undefined ? undefined : timerOf(values.timeout, nameOf("timeout")),
    waitMs: timerOf(values.wait, nameOf("wait")),
    padding: values.padding,
    optimistic: values.optimistic,
    pool: values.pool === "on",
    links: countOf(values.links, nameOf("links"), LIMITS.maxLinks),
    insecureWs: values["insecure-ws"],
    ...(values.suite === undefined ? {} : { suite: values.suite }),
    ...(values.ca === undefined ? {} : { ca: readCertificates(values.ca, nameOf("ca")) }),
    ...(credentials === undefined ? {} : { credentials }),
    log: logOf(values["log-level"], report),
  };
}

function readCertificates(file: string, label: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${label}: ${messageOf(error)}`, "name a PEM file that this user may read", {
      cause: error,
    });
  }
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) {
    throw new UsageError(`${label}: ${JSON.stringify(file)} holds no certificate`, "name a file in PEM form");
  }
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch (error) {
      throw new UsageError(
        `${label}: certificate ${index + 1} of ${JSON.stringify(file)} is damaged: ${messageOf(error)}`,
        "copy the authority's certificate again",
        { cause: error },
      );
    }
  }
  return text;
}

/** A block of PEM, up to its end line or, where that is missing, to the end of the file. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?(?:-----END CERTIFICATE-----|$)/g;

/** Opens the state and settles which server this is: that of the link, which is remembered, or the remembered one. */
export function openServer(
  options: TunnelOptions,
  link: ServerLink | undefined,
): { store: ClientStore; server: KnownServer } {
  // Before anything is written: a link that is refused must not be remembered.
  if (link !== undefined) checkTransport(link.url, options.insecureWs);
  const store = ClientStore.open({ dir: options.stateDir, random: secureRandom });
  const server = link === undefined ? store.server : store.adopt(link);
  if (server === undefined) {
    throw new UsageError(
      "no server is known yet: this client needs a link",
      "ask for one made by rvpn invite NAME on the server; give it as LINK, in RVPN_LINK, or as - on standard input",
    );
  }
  checkTransport(server.url, options.insecureWs);
  return { store, server };
}

function checkTransport(url: string, insecureWs: boolean): void {
  const { protocol, hostname, host } = new URL(url);
  if (protocol !== "ws:" || insecureWs || isLoopbackHost(hostname)) return;
  throw new UsageError(
    `ws:// to ${host} has no TLS`,
    "use the wss:// address of the reverse proxy, or give --insecure-ws if you know the way there",
  );
}

function isLoopbackHost(hostname: string): boolean {
  if (hostname === "localhost") return true;
  const address = parseIp(hostname.replace(/^\[(.*)\]$/, "$1"));
  return address !== undefined && isLoopback(address);
}
