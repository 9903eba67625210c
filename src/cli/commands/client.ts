import { startClient } from "../../client/client.ts";
import { formatLink, type ServerLink } from "../../proto/index.ts";
import { isLoopback, type ListenAddress, parseListenAddress } from "../../runtime/address.ts";
import { UsageError } from "../../runtime/errors.ts";
import { collectWhenIdle } from "../../runtime/idle-collector.ts";
import { openServer, readTunnelOptions, type TunnelOptions, tunnelFlags } from "../client-options.ts";
import { command } from "../command.ts";
import { startDetached } from "../detach.ts";
import { errorOf, untilFirstLink } from "../first-link.ts";
import { formatHostPort } from "../host-port.ts";
import { linkArgument, readLink } from "../link-source.ts";
import { printResult } from "../output.ts";
import { Readiness } from "../readiness.ts";
import { nextStopSignal } from "../signals.ts";

const DETACH_TIMEOUT_MS = 10_000;

const args = {
  link: linkArgument,
  proxy: {
    type: "string",
    valueHint: "[HOST:]PORT",
    required: true,
    description:
      "where the proxy listens: SOCKS5, SOCKS4a and HTTP on one port; 0 takes any free one and prints it",
  },
  detach: {
    type: "boolean",
    description: "go on in the background once the server is reached, and print the proxy's address",
  },
  ...tunnelFlags,
} as const;

export default command({
  args,
  notes: `In the foreground the client retries for ever unless --timeout is given; its port listens at once. With
--detach it has 10s, or --timeout, to reach the server; then the command returns 0, or ends the client and says
why not. The client's log is then client.log in the state directory; rvpn status and rvpn stop talk to it.

  rvpn client --proxy 1080 --detach "$LINK" && curl --proxy socks5h://127.0.0.1:1080 https://example.org`,
  async run(given) {
    const { values, nameOf, without } = given;
    const readiness = Readiness.fromEnvironment();
    try {
      const listen = parseListenAddress(values.proxy, nameOf("proxy"));
      const options = readTunnelOptions(given, { otherwise: "info", timestamps: readiness.isDetached });
      checkExposure(listen, options, nameOf("proxy"));
      const link = await readLink("client", values.link, () => without("link"));
      if (values.detach) await detach(options, link, without("detach", "link", "timeout"));
      else await serve(listen, options, link, readiness);
      return undefined;
    } catch (error) {
      readiness.failed(error);
      throw error;
    }
  },
});

function checkExposure(listen: ListenAddress, options: TunnelOptions, label: string): void {
  if (isLoopback(listen.address) || options.credentials !== undefined) return;
  throw new UsageError(
    `${label}: ${listen.host} can be reached from other machines, and the proxy has no password`,
    "listen on 127.0.0.1, or set RVPN_PROXY_AUTH=user:password or --proxy-user and --proxy-password-file",
  );
}

async function detach(options: TunnelOptions, link: ServerLink | undefined, rest: string[]): Promise<void> {
  const timeoutMs = options.timeoutMs ?? DETACH_TIMEOUT_MS;
  const proxy = await startDetached({
    stateDir: options.stateDir,
    // In front of the rest, where a "--" cannot turn the flag into an argument.
    args: ["client", `--timeout=${timeoutMs}ms`, ...rest, ...(link === undefined ? [] : ["-"])],
    link: link === undefined ? undefined : formatLink(link),
    timeoutMs,
  });
  await printResult(proxy);
}

/** Runs the client in this process until it is stopped (returns) or ends for a reason (throws it). */
async function serve(
  listen: ListenAddress,
  options: TunnelOptions,
  link: ServerLink | undefined,
  readiness: Readiness,
): Promise<void> {
  // Before anything is begun: from here on a signal ends the client in order, also one that has just come up.
  const signal = nextStopSignal();
  const { store, server } = openServer(options, link);
  const client = await startClient({ ...options, store, server, hostname: listen.host, port: listen.port });
  collectWhenIdle();
  const address = formatHostPort(client);
  options.log.info(`proxy on ${address}`);
  void signal.then(() => client.stop());
  const outcome = await untilFirstLink(client, options.timeoutMs);
  if (outcome === "stopped")
    readiness.failed(new Error("the client was stopped before it reached the server"));
  else readiness.ready(address);
  // A directory that nobody is in can be unmounted; no relative path is read from here on.
  if (readiness.isDetached) process.chdir("/");
  const error = errorOf(await client.finished);
  // `finished` tells that the client ended; this waits until its port and its control socket are gone too.
  await client.stop();
  if (error !== undefined) throw error;
}
