import { type RunningClient, startClient } from "../../client/client.ts";
import type { ServerLink } from "../../proto/index.ts";
import { UsageError } from "../../runtime/errors.ts";
import { runChild } from "../child.ts";
import { openServer, readTunnelOptions, type TunnelOptions, tunnelFlags } from "../client-options.ts";
import { command } from "../command.ts";
import { errorOf, notReached, untilFirstLink } from "../first-link.ts";
import { linkArgument, readLink } from "../link-source.ts";
import { proxyEnvironment } from "../proxy-environment.ts";
import { askStatus, awaitLink, dialAddress } from "../running-client.ts";

const DEFAULT_TIMEOUT_MS = 10_000;

const args = {
  link: linkArgument,
  ...tunnelFlags,
} as const;

export default command({
  args,
  takesCommand: true,
  notes: `Uses the client that runs in the state directory, or else its own on a free port for as long as the command runs.
Sets ALL_PROXY (socks5h), HTTP_PROXY and HTTPS_PROXY, in small letters too, and keeps NO_PROXY. Forwards signals and
returns the command's exit code, 128+n if signal n ended it, 127 if it was not found. If the server is not reached
within --timeout (default 10s) the command is not started.

  rvpn run -- curl https://example.org`,
  async run(given) {
    const [program, ...programArgs] = given.command ?? [];
    if (program === undefined) {
      throw new UsageError(
        "no command to run",
        "write it after two dashes: rvpn run -- curl https://example.org",
      );
    }
    const options = readTunnelOptions(given, { otherwise: "warn", timestamps: false });
    const link = await readLink(given.values.link, () => ["run", ...given.without("link")]);
    const proxy = await findProxy(options, link);
    const env = proxyEnvironment(process.env, proxy, options.credentials);
    const code = await runChild([program, ...programArgs], env);
    await proxy.release();
    return code;
  },
});

/** A proxy with a link behind it. `release` ends it if it is ours. */
interface Proxy {
  readonly hostname: string;
  readonly port: number;
  release(): Promise<void>;
}

async function findProxy(options: TunnelOptions, link: ServerLink | undefined): Promise<Proxy> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const running = await askStatus(options.stateDir);
  if (running === undefined) return await ownProxy(options, link, timeoutMs);
  const status = running.link === "up" ? running : await awaitLink(options.stateDir, timeoutMs);
  if (status?.link !== "up") throw notReached(timeoutMs, status?.lastReason);
  return { ...dialAddress(status.proxy), release: async () => {} };
}

async function ownProxy(
  options: TunnelOptions,
  link: ServerLink | undefined,
  timeoutMs: number,
): Promise<Proxy> {
  const { store, server } = openServer(options, link);
  const client = await startClient({ ...options, store, server, hostname: "127.0.0.1", port: 0 });
  if ((await untilFirstLink(client, timeoutMs)) === "stopped") {
    throw new UsageError("the client was stopped before it reached the server", "start the command again");
  }
  void warnOfEnd(client, options);
  return { hostname: client.hostname, port: client.port, release: () => client.stop() };
}

/** The command goes on without its proxy: whether it can is its own to judge, and its exit code is the answer. */
async function warnOfEnd(client: RunningClient, options: TunnelOptions): Promise<void> {
  const error = errorOf(await client.finished);
  if (error !== undefined) options.log.error(`the tunnel ended: ${error.message}`);
}
