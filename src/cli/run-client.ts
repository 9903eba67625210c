import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type RunningClient, startClient } from "../client/client.ts";
import { ClientStore, isKeyOf, type KnownServer } from "../client/store.ts";
import { equalBytes, formatSecretKey, type ServerLink } from "../proto/index.ts";
import { writeFileAtomic } from "../runtime/atomic-file.ts";
import { IDENTITY_FILE } from "../runtime/identity-file.ts";
import { lockStateDir, StateDirBusy } from "../runtime/lock.ts";
import { secureRandom } from "../runtime/random.ts";
import { openServer, type TunnelOptions } from "./client-options.ts";

/** The client of one `rvpn run`. */
export interface RunClient {
  readonly client: RunningClient;
  /** Ends the client and brings home what it learnt. */
  release(): Promise<void>;
}

const PREFIX = "run-";
const HOME_TRIES = 20;
const HOME_RETRY_MS = 50;

/**
 * Starts a client for one command, in a state directory of its own below the given one, with the same identity. In the
 * given one it would be found by other `run`s, which would lose their connections when the first of them ends; and only
 * one of them could start at a time. Throws StateDirBusy while another process has the given directory.
 */
export async function startRunClient(
  options: TunnelOptions,
  link: ServerLink | undefined,
): Promise<RunClient> {
  const { store: home, server } = openServer(options, link);
  const { dir, store } = withClosing(home, () => {
    removeAbandoned(options.stateDir);
    return copyState(options.stateDir, home, server);
  });
  const discard = (): void => {
    store.close();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const own = { store, server, stateDir: dir, hostname: "127.0.0.1", port: 0 };
    const client = await startClient({ ...options, ...own });
    return {
      client,
      async release() {
        await client.stop();
        const { kind } = await client.finished;
        const neverAccepted = store.server?.joined === false;
        if (kind === "refused" && neverAccepted) await takeBack(options.stateDir, server);
        else if (store.server !== undefined) await bringHome(options.stateDir, server, store.server);
        discard();
      },
    };
  } catch (error) {
    discard();
    throw error;
  }
}

function withClosing<T>(store: ClientStore, use: () => T): T {
  try {
    return use();
  } finally {
    store.close();
  }
}

/** Made and locked while the given directory is, so that nobody takes it for abandoned. */
function copyState(
  stateDir: string,
  home: ClientStore,
  server: KnownServer,
): { dir: string; store: ClientStore } {
  const dir = mkdtempSync(join(stateDir, PREFIX));
  // A seat's identity comes from its link.
  if (server.kind !== "seat") {
    writeFileAtomic(join(dir, IDENTITY_FILE), `${formatSecretKey(home.identity)}\n`);
  }
  const store = ClientStore.open({ dir, random: secureRandom });
  store.copy(server);
  return { dir, store };
}

/** Directories of `run`s that were killed: nobody has their lock any more. */
function removeAbandoned(stateDir: string): void {
  for (const name of readdirSync(stateDir)) {
    if (!name.startsWith(PREFIX)) continue;
    const dir = join(stateDir, name);
    try {
      lockStateDir(dir, "edit").release();
    } catch (error) {
      if (error instanceof StateDirBusy) continue;
      throw error;
    }
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * Keeps what the server said: that the invite was taken, a new gate key, a new identity. Without the second a client that
 * only ever runs commands would be shut out after the second revocation of another client, without the third after the
 * ninth rotation.
 */
async function bringHome(stateDir: string, before: KnownServer, after: KnownServer): Promise<void> {
  const moved = !equalBytes(after.serverKey, before.serverKey);
  if (after.joined === before.joined && equalBytes(after.gateKey, before.gateKey) && !moved) return;
  await atHome(stateDir, (home) => learn(home, before, after));
}

/** The link of this run was refused: what was before it counts again. */
async function takeBack(stateDir: string, refused: KnownServer): Promise<void> {
  await atHome(stateDir, (home) => {
    if (isStill(home.server, refused)) home.goBack();
  });
}

async function atHome(stateDir: string, change: (home: ClientStore) => void): Promise<void> {
  for (let tries = 0; tries < HOME_TRIES; tries++) {
    try {
      const home = ClientStore.open({ dir: stateDir, random: secureRandom });
      return withClosing(home, () => change(home));
    } catch (error) {
      // Another run, for a moment; or a client for longer, which hears of these things itself.
      if (!(error instanceof StateDirBusy)) throw error;
      await Bun.sleep(HOME_RETRY_MS);
    }
  }
}

/** Whether a directory is still what a run began with: another process may have given it another link since. */
function isStill(known: KnownServer | undefined, begun: KnownServer): boolean {
  if (known === undefined || known.kind !== begun.kind) return false;
  return equalBytes(known.linkKey, begun.linkKey) && equalBytes(known.secret, begun.secret);
}

function learn(home: ClientStore, before: KnownServer, after: KnownServer): void {
  const known = home.server;
  if (known === undefined || !isKeyOf(known, before.serverKey)) return;
  const { serverKey: key, sequence, formerKeys: former } = after;
  home.movePin({ key, sequence, former });
  if (after.joined && !known.joined && isStill(known, before)) home.markJoined();
  // Only over the key that we knew: anything else is newer than ours.
  if (equalBytes(known.gateKey, before.gateKey)) home.replaceGateKey(after.gateKey);
}
