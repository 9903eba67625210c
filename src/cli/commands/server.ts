import { statSync } from "node:fs";
import { resolve } from "node:path";
import { parseListenAddress } from "../../runtime/address.ts";
import { reserveDescriptors } from "../../runtime/descriptors.ts";
import { UsageError } from "../../runtime/errors.ts";
import { collectWhenIdle } from "../../runtime/idle-collector.ts";
import type { Log } from "../../runtime/log.ts";
import { secureRandom } from "../../runtime/random.ts";
import { TrustedProxies } from "../../server/client-address.ts";
import { DestinationPolicy } from "../../server/policy.ts";
import { startServer } from "../../server/server.ts";
import { ServerStore } from "../../server/store.ts";
import { command, logLevelFlag } from "../command.ts";
import { applyEngineSettings } from "../engine-settings.ts";
import { logOf, paddingFlag, poolFlag, serverStateFlag, stateDirOf, timerOf } from "../options.ts";
import { nextStopSignal } from "../signals.ts";

const args = {
  listen: {
    type: "string",
    valueHint: "[HOST:]PORT",
    default: "127.0.0.1:8443",
    description: "where to listen, without TLS; port 0 takes any free one and prints it",
  },
  state: serverStateFlag,
  path: {
    type: "string",
    valueHint: "PATH",
    default: "/",
    description: "the path of the WebSocket; all other paths are the decoy's",
  },
  decoy: {
    type: "string",
    valueHint: "DIR",
    description: "the web site to show to everybody who is not a client",
  },
  "trusted-proxy": {
    type: "string",
    valueHint: "CIDR",
    repeatable: true,
    description: "proxies whose X-Forwarded-For is believed, beside those on this machine",
  },
  allow: {
    type: "string",
    valueHint: "CIDR[:PORTS]",
    repeatable: true,
    description: "let clients reach these addresses, though they are denied by default",
  },
  deny: {
    type: "string",
    valueHint: "CIDR[:PORTS]",
    repeatable: true,
    description: "keep clients from these addresses",
  },
  padding: paddingFlag,
  drain: {
    type: "string",
    valueHint: "DURATION",
    default: "30s",
    description: "how long open connections may go on after SIGTERM",
  },
  "resume-window": {
    type: "string",
    valueHint: "DURATION",
    default: "5m",
    description: "how long open connections wait for a client whose link is lost; 0s: not at all",
  },
  pool: {
    ...poolFlag,
    description: "connect ahead to what clients ask for again and again, ports 80 and 443 only: on or off",
  },
  "log-level": logLevelFlag,
} as const;

export default command({
  args,
  notes: `The first start makes the server's identity and state. Then let a client in, with the name that your reverse
proxy serves:

  rvpn invite laptop --url wss://vpn.example.org/

SIGTERM and SIGINT drain: open connections may finish, also those of a client whose link was lost a moment ago and
comes back. A second signal resets what is open and ends the server; a third one kills it.
A client whose link is lost finds its open connections as it left them if it is back within --resume-window.
Addresses of this machine, of private networks and of cloud metadata are denied unless --allow names them: a range around
the address of cloud metadata does not open that one.`,
  async run({ values, nameOf, without }) {
    const listen = parseListenAddress(values.listen, nameOf("listen"));
    const drainMs = timerOf(values.drain, nameOf("drain"));
    const resumeWindowMs = timerOf(values["resume-window"], nameOf("resume-window"));
    const path = parsePath(values.path, nameOf("path"));
    const decoyDir =
      values.decoy === undefined ? {} : { decoyDir: parseDecoy(values.decoy, nameOf("decoy")) };
    const policy = new DestinationPolicy({ allow: values.allow, deny: values.deny });
    const trustedProxies = new TrustedProxies(values["trusted-proxy"]);
    const log = logOf(values["log-level"], { otherwise: "info", timestamps: true });
    const stateDir = stateDirOf(values.state, "server");
    // All flags are read by now: a mistake must not leave a state directory behind.
    applyEngineSettings(() => ["server", ...without()]);
    // Before anything is begun: from here on a signal ends a server in order, also one that has just come up.
    const signal = nextStopSignal();
    const store = ServerStore.open({ dir: stateDir, now: Date.now, random: secureRandom });
    const descriptors = reserveDescriptors();
    const server = await startServer({
      hostname: listen.host,
      port: listen.port,
      path,
      store,
      stateDir,
      ...decoyDir,
      policy,
      trustedProxies,
      padding: values.padding,
      drainMs,
      resumeWindowMs,
      pool: values.pool === "on",
      ...(descriptors === undefined ? {} : { descriptors }),
      log,
    });
    collectWhenIdle();
    tellHowToInvite(store, log);
    log.info(`${await signal}: draining for up to ${values.drain}; a second signal ends the server at once`);
    // Not by the kernel: it would close connections to destinations with FIN, an end that nobody has made.
    void nextStopSignal().then(() => server.stop());
    await server.stop();
    store.close();
    log.info("stopped");
    return undefined;
  },
});

function parsePath(text: string, label: string): string {
  // The same characters that a URL's path keeps as they are: anything else would never match a request.
  if (text.startsWith("/") && URL.parse(text, "ws://host")?.pathname === text) return text;
  throw new UsageError(
    `${label}: ${JSON.stringify(text)} is not a path`,
    "write what follows the host: / or /chat",
  );
}

function parseDecoy(text: string, label: string): string {
  const dir = resolve(text);
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory() === true) return dir;
  throw new UsageError(
    `${label}: ${JSON.stringify(text)} is not a directory`,
    "name the directory of a static web site",
  );
}

function tellHowToInvite(store: ServerStore, log: Log): void {
  if (store.clients().length > 0 || store.invites().length > 0) return;
  log.info("no client can connect yet; let one in with: rvpn invite NAME --url wss://YOUR-HOST/");
}
