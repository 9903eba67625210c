import type { ClientStatus, RunningClient } from "../../client/client.ts";
import type { ServerLink } from "../../proto/index.ts";
import { UsageError } from "../../runtime/errors.ts";
import { collectWhenIdle } from "../../runtime/idle-collector.ts";
import { StateDirBusy } from "../../runtime/lock.ts";
import { runChild } from "../child.ts";
import { readTunnelOptions, type TunnelOptions, tunnelFlags } from "../client-options.ts";
import { command } from "../command.ts";
import { errorOf, notReached, untilFirstLink } from "../first-link.ts";
import { linkArgument, readLink } from "../link-source.ts";
import { proxyEnvironment } from "../proxy-environment.ts";
import { type RunClient, startRunClient } from "../run-client.ts";
import { askStatus, awaitLink, dialAddress } from "../running-client.ts";
import { onStopSignal } from "../signals.ts";

const DEFAULT_TIMEOUT_MS = 10_000;
/** A client that starts or stops, or another `run`, has the directory without answering for no longer than this. */
const HANDOVER_MS = 5_000;
const RETRY_MS = 50;

const args = {
  link: linkArgument,
  ...tunnelFlags,
} as const;

export default command({
  args,
  takesCommand: true,
  notes: `Uses the client that runs in the state directory, or else its own on a free port for as long as the command runs;
any number of these may run at once.
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
    const link = await readLink("run", given.values.link, () => given.without("link"));
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

/** The proxy of the client that runs in the state directory, or of our own. */
async function findProxy(options: TunnelOptions, link: ServerLink | undefined): Promise<Proxy> {
  const giveUpAt = performance.now() + HANDOVER_MS;
  for (;;) {
    const running = await askStatus(options.stateDir);
    if (running !== undefined) return await proxyOf(running, options, link);
    try {
      const own = await startRunClient(options, link);
      collectWhenIdle();
      return await ownProxy(own, options);
    } catch (error) {
      if (!(error instanceof StateDirBusy) || performance.now() > giveUpAt) throw error;
      await Bun.sleep(RETRY_MS);
    }
  }
}

async function proxyOf(
  running: ClientStatus,
  { stateDir, timeoutMs = DEFAULT_TIMEOUT_MS, credentials }: TunnelOptions,
  link: ServerLink | undefined,
): Promise<Proxy> {
  if (running.proxyPassword && credentials === undefined) {
    throw new UsageError(
      `the client that runs in ${stateDir} wants a user and a password`,
      "give the same here: RVPN_PROXY_AUTH=user:password, or --proxy-user and --proxy-password-file",
    );
  }
  if (link !== undefined && link.url !== running.server) {
    throw new UsageError(
      `the client that runs in ${stateDir} is for ${running.server}, and this link for ${link.url}`,
      "leave out the link, or name another directory with --state",
    );
  }
  const status = running.link === "up" ? running : await awaitLink(stateDir, timeoutMs);
  if (status?.link !== "up") throw notReached(timeoutMs, status?.lastReason);
  return { ...dialAddress(status.proxy), release: async () => {} };
}

async function ownProxy({ client, release }: RunClient, options: TunnelOptions): Promise<Proxy> {
  // Until the command runs and gets the signals: without this a killed run leaves its directory to the next one.
  const undo = onStopSignal((signal) => void release().then(() => process.kill(process.pid, signal)));
  try {
    const outcome = await untilFirstLink(client, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    if (outcome === "stopped") throw new Error("the client was stopped before it reached the server");
  } catch (error) {
    await release();
    throw error;
  } finally {
    undo();
  }
  void warnOfEnd(client, options);
  return { hostname: client.hostname, port: client.port, release };
}

/** The command goes on without its proxy: whether it can is its own to judge, and its exit code is the answer. */
async function warnOfEnd(client: RunningClient, options: TunnelOptions): Promise<void> {
  const error = errorOf(await client.finished);
  if (error !== undefined) options.log.error(`the tunnel ended: ${error.message}`);
}
