import type { ClientEnd, ClientOptions, ClientStatus, RunningClient } from "../../../src/client/client.ts";
import { serveControl } from "../../../src/runtime/control.ts";
import { ExitCode, UsageError } from "../../../src/runtime/errors.ts";

const EVENT_DELAY_MS = 50;

/** A client without a server: it listens, answers its control socket and meets the fate that FAKE_CLIENT names. */
export async function startClient(options: ClientOptions): Promise<RunningClient> {
  const listener = listen(options);
  const firstLink = Promise.withResolvers<void>();
  const finished = Promise.withResolvers<ClientEnd>();
  const { hostname } = options;
  const { FAKE_CLIENT: fate } = process.env;
  const { port } = listener;
  let link: ClientStatus["link"] = "connecting";
  const status = (): ClientStatus => ({
    running: true,
    pid: process.pid,
    proxy: `${hostname}:${port}`,
    proxyPassword: options.credentials !== undefined,
    server: options.server.url,
    link,
    since: "2026-01-02T03:04:05.000Z",
    reconnects: 0,
    streams: 0,
    bytesUp: 12,
    bytesDown: 34,
    links: slots(options.links, link),
  });
  const control = await serveControl(options.stateDir, ({ op }) => {
    if (op === "stop") setTimeout(() => void end({ kind: "stopped" }), 0);
    return op === "stop" ? { stopping: true } : status();
  });
  const end = async (how: ClientEnd): Promise<void> => {
    listener.stop(true);
    control.close();
    finished.resolve(how);
  };
  const comeUp = (): void => {
    link = "up";
    firstLink.resolve();
  };
  setTimeout(() => meetFate(fate, comeUp, end), EVENT_DELAY_MS);
  return {
    hostname,
    port,
    firstLink: firstLink.promise,
    finished: finished.promise,
    lastProblem: () => "the connection was refused",
    status,
    stop: () => end({ kind: "stopped" }),
  };
}

/** Links as different as can be; the one of a client that has only one is plain. */
function slots(count: number, state: ClientStatus["link"]): ClientStatus["links"] {
  const plain = { slot: 0, state, streams: 0, reconnects: 0 };
  if (count === 1) return [plain];
  const first = { ...plain, ageSeconds: 1, rttMs: 3.25 };
  const old = { ...first, slot: 1, ageSeconds: 3_661, streams: 1, lastReason: "no sign of life" };
  const lost = {
    ...plain,
    slot: 2,
    state: "down",
    streams: 2,
    lastReason: "the connection was refused",
  } as const;
  return [first, old, lost];
}

function meetFate(
  fate: string | undefined,
  comeUp: () => void,
  end: (how: ClientEnd) => Promise<void>,
): void {
  switch (fate) {
    case "up":
      return comeUp();
    case "refused":
      return void end({ kind: "refused", refusal: "inviteExpired" });
    case "wrongServer":
      return void end({ kind: "wrongServer" });
    case "revokedLater":
      comeUp();
      setTimeout(() => void end({ kind: "refused", refusal: "revoked" }), EVENT_DELAY_MS);
      return;
    case "crash":
      process.kill(process.pid, "SIGKILL");
      return;
    case "stray":
      throw new Error("nobody awaited this");
    default:
      return;
  }
}

function listen(options: ClientOptions): Bun.TCPSocketListener {
  try {
    return Bun.listen({ hostname: options.hostname, port: options.port, socket: { data() {} } });
  } catch (cause) {
    throw new UsageError(`port ${options.port} is taken`, "give another --proxy", {
      exitCode: ExitCode.portTaken,
      cause,
    });
  }
}
