import { type ControlRequest, callControl, type Json } from "../runtime/control.ts";
import { UsageError } from "../runtime/errors.ts";
import { StateDirBusy } from "../runtime/lock.ts";
import { secureRandom } from "../runtime/random.ts";
import { handleAdmin, type LiveServer } from "./admin-requests.ts";
import { ServerStore } from "./store.ts";

export { handleAdmin, type LiveServer };

/** A server that starts or stops has its directory, but no control socket, for no longer than this. */
const HANDOVER_MS = 5_000;
const RETRY_MS = 50;

/**
 * Has a request done by the server that runs in the state directory `dir`, or on the files in it if none runs. Throws
 * UsageError if there has never been a server in `dir`: state made here would be that of another server than the one
 * that the operator means.
 */
export async function callServer(dir: string, request: ControlRequest): Promise<Json> {
  const giveUpAt = performance.now() + HANDOVER_MS;
  for (;;) {
    const reply = await callControl(dir, request);
    if (reply !== undefined) return reply;
    if (!ServerStore.exists(dir)) throw noServer(dir);
    const store = openUnlessBusy(dir, giveUpAt);
    if (store !== undefined) return useAndClose(store, request);
    await Bun.sleep(RETRY_MS);
  }
}

/** Undefined if a server has the directory: it will answer on its socket in a moment, or be gone. */
function openUnlessBusy(dir: string, giveUpAt: number): ServerStore | undefined {
  try {
    return ServerStore.open({ dir, now: Date.now, random: secureRandom, use: "edit" });
  } catch (error) {
    if (error instanceof StateDirBusy && performance.now() < giveUpAt) return undefined;
    throw error;
  }
}

function useAndClose(store: ServerStore, request: ControlRequest): Json {
  try {
    return handleAdmin(store, request);
  } finally {
    store.close();
  }
}

function noServer(dir: string): UsageError {
  return new UsageError(
    `there is no server in ${dir}`,
    "start rvpn server once, run this as the user that it runs as (sudo), or name its directory with --state",
  );
}
