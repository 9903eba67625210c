import { readFileSync } from "node:fs";
import type { ClientStatus } from "../client/client.ts";
import { callControl } from "../runtime/control.ts";
import { UsageError } from "../runtime/errors.ts";

const POLL_MS = 50;
/** Above the time that a client takes to say goodbye to its server and close its sockets. */
const STOP_DEADLINE_MS = 15_000;

/** The status of the client that runs in this state directory; undefined when none does. */
export async function askStatus(stateDir: string): Promise<ClientStatus | undefined> {
  const reply = await callControl(stateDir, { op: "status" });
  // The other end of the socket is this program, of this user: its reply is the ClientStatus it was made from.
  return reply === undefined ? undefined : (reply as unknown as ClientStatus);
}

/** The status once the link is up, or whatever it is when `timeoutMs` is over. Also waits for a client to start. */
export async function awaitLink(stateDir: string, timeoutMs: number): Promise<ClientStatus | undefined> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const status = await askStatus(stateDir);
    if (status?.link === "up" || performance.now() >= deadline) return status;
    await Bun.sleep(POLL_MS);
  }
}

/** Ends the client and waits until its process is gone. Returns its pid; undefined when none was running. */
export async function stopRunning(stateDir: string): Promise<number | undefined> {
  const status = await askStatus(stateDir);
  if (status === undefined) return undefined;
  await callControl(stateDir, { op: "stop" });
  const deadline = performance.now() + STOP_DEADLINE_MS;
  while (isAlive(status.pid)) {
    if (performance.now() >= deadline) {
      throw new UsageError(
        `the client (pid ${status.pid}) does not end`,
        `end it with: kill -9 ${status.pid}`,
        {
          exitCode: 1,
        },
      );
    }
    await Bun.sleep(POLL_MS);
  }
  return status.pid;
}

/** The address of a running client as another program on this machine dials it. */
export function dialAddress(proxy: string): { hostname: string; port: number } {
  const colon = proxy.lastIndexOf(":");
  const host = proxy.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  // Bound to all addresses of the machine, none of which it names: loopback is always among them.
  const hostname = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return { hostname, port: Number(proxy.slice(colon + 1)) };
}

function isAlive(pid: number): boolean {
  try {
    // Signal 0 is delivered to nobody; it only tells whether somebody is there.
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !isZombie(pid);
}

/** Dead, but not yet waited for by its parent: in a container whose first process waits for nobody, for ever. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // proc(5): the state follows the name, which is in brackets and may hold brackets itself.
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return false;
  }
}
