import { closeSync, existsSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../src/runtime/atomic-file.ts";
import { serveControl } from "../../src/runtime/control.ts";
import { decodeRequest } from "../../src/runtime/control-protocol.ts";
import { messageOf } from "../../src/runtime/errors.ts";
import { type LockUse, lockStateDir } from "../../src/runtime/lock.ts";
import { secureRandom } from "../../src/runtime/random.ts";
import { callServer } from "../../src/server/admin.ts";
import { ServerStore } from "../../src/server/store.ts";

/** What the tests have other processes do. Each prints a line when it has come so far, or the error that it met. */
const parent = process.ppid;
const [command, path = "", argument = ""] = process.argv.slice(2);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Until the file that `argument` names is in the directory: starting a process takes longer than what is to happen at once. */
async function awaitGo(): Promise<void> {
  say("ready");
  await Bun.sleep(1);
  while (!existsSync(join(path, argument))) Bun.sleepSync(0.2);
}

/** Until it is killed, or the test that started it is gone: a test that was itself killed must leave nothing behind. */
function stay(): void {
  setInterval(() => {
    if (process.ppid !== parent) process.exit();
  }, 100);
}

const COMMANDS: Readonly<Record<string, () => void | Promise<void>>> = {
  /** Locks a directory, and writes `argument` over the name of the holder if there is one. */
  lock() {
    lockStateDir(path, "run");
    if (argument !== "") writeFileSync(join(path, "lock"), argument);
    say("locked");
    stay();
  },

  /** Enters and leaves a locked section for half a second; two inside would be seen. */
  async contend() {
    await awaitGo();
    const end = performance.now() + 500;
    let rounds = 0;
    for (; performance.now() < end; rounds++) {
      const lock = lockStateDir(path, "edit");
      const inside = join(path, "inside");
      closeSync(openSync(inside, "wx"));
      rmSync(inside);
      lock.release();
      Bun.sleepSync(1);
    }
    say(`entered ${rounds}`);
  },

  /** Opens a server's store. */
  async open() {
    await awaitGo();
    const store = ServerStore.open({ dir: path, now: Date.now, random: secureRandom });
    say(`opened ${store.identity.publicKey.toHex()}`);
    stay();
  },

  /** Writes files of growing and shrinking size without end. */
  write() {
    say("writing");
    for (let version = 0; ; version++) {
      writeFileAtomic(
        path,
        `${JSON.stringify({ version, filler: "x".repeat((version * 7919) % 100_000) })}\n`,
      );
    }
  },

  /** Invites without end, in a store that is open already. */
  invite() {
    const store = ServerStore.open({ dir: path, now: Date.now, random: secureRandom });
    say("inviting");
    for (;;) {
      store.invite({ name: "somebody", seat: true });
      store.revoke("somebody");
    }
  },

  /** Renews a server's identity without end. */
  rotate() {
    const store = ServerStore.open({ dir: path, now: Date.now, random: secureRandom });
    store.keys.rotate();
    say("rotating");
    for (;;) store.keys.rotate();
  },

  /** Answers on the control socket. */
  async serve() {
    const { path: socket } = await serveControl(path, (request) => request);
    say(socket);
    stay();
  },

  /** Ends instead of answering. */
  async exit() {
    await serveControl(path, () => process.exit(0));
    say("ready");
    stay();
  },

  /** Has the server in a directory do the request `argument`, and prints the reply. */
  async call() {
    say(JSON.stringify(await callServer(path, decodeRequest(Buffer.from(argument)) ?? { op: "none" })));
  },

  /** Holds the lock for `argument` ms, as an edit or a run. */
  async hold() {
    const [use = "run", ms = "0"] = argument.split(":");
    const lock = lockStateDir(path, use as LockUse); // As the test wrote it.
    say("locked");
    await Bun.sleep(Number(ms));
    lock.release();
  },
};

try {
  await COMMANDS[command ?? ""]?.();
} catch (error) {
  say(messageOf(error));
}
