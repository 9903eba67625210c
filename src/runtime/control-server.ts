import { chmodSync, closeSync, rmSync } from "node:fs";
import type {
  FdSocketOptions,
  Socket,
  SocketHandler,
  TCPSocketConnectOptions,
  UnixSocketListener,
} from "bun";
import { openSpareAccept } from "./accept-linux.ts";
import { isAnswering } from "./control-client.ts";
import { ControlConnection, type ControlHandler } from "./control-connection.ts";
import { controlSocketOf, lastSocketOf, listeningPath, pointTo } from "./control-path.ts";
import { CONTROL_LIMITS } from "./control-protocol.ts";
import { messageOf, UsageError } from "./errors.ts";
import { isLockedHere, lockStateDir, StateDirBusy } from "./lock.ts";

export interface ControlServer {
  /** Where it listens; usually `control.sock` in the state directory. */
  readonly path: string;
  /** Takes no further requests; those being handled are still answered. */
  close(): void;
}

/**
 * Answers requests on the control socket of `dir`, which exists. What `handle` throws is the reply of that request.
 * Throws UsageError if another process runs in `dir`. An open store has the lock of its directory; without one, it is
 * taken here and given back by `close`.
 */
export async function serveControl(dir: string, handle: ControlHandler): Promise<ControlServer> {
  const lock = isLockedHere(dir) ? undefined : lockStateDir(dir);
  try {
    const path = listeningPath(dir);
    await removeStale(dir, path);
    const listener = new ControlListener(path, handle);
    pointTo(dir, path);
    let closed = false;
    return {
      path,
      close() {
        // Once only: by now the socket could be that of another.
        if (closed) return;
        closed = true;
        listener.close();
        if (path !== controlSocketOf(dir)) rmSync(controlSocketOf(dir), { force: true });
        lock?.release();
      },
    };
  } catch (error) {
    lock?.release();
    throw error;
  }
}

/** We have the lock, so whose socket this was is dead: unless the lock file was removed by hand, or it is our own. */
async function removeStale(dir: string, path: string): Promise<void> {
  // The environment of the last start may have led it elsewhere.
  if ((await isAnswering(path)) || (await isAnswering(lastSocketOf(dir)))) {
    throw new StateDirBusy(
      `already running: another server or client runs in ${dir}`,
      "end that process first, or give this one a directory of its own with --state",
    );
  }
  rmSync(path, { force: true });
  rmSync(controlSocketOf(dir), { force: true });
}

/** Twice this, with what a command does then, stays well below the second in which a revocation takes effect. */
const LOOK_EVERY_MS = 100;

class ControlListener {
  readonly #path: string;
  readonly #handle: ControlHandler;
  readonly #connections = new Set<ControlConnection>();
  readonly #handlers: SocketHandler<ControlConnection | undefined> = {
    open: (socket) => this.#accept(socket),
    data: (socket, chunk) => socket.data?.received(chunk),
    drain: (socket) => socket.data?.drained(),
    end: (socket) => socket.data?.ended(),
    close: (socket) => this.#forget(socket.data),
    // Followed by `close`.
    error: () => {},
  };
  readonly #listener: UnixSocketListener<ControlConnection | undefined>;
  readonly #spare = openSpareAccept();
  readonly #looker: ReturnType<typeof setInterval>;
  #wasWaiting = false;

  constructor(path: string, handle: ControlHandler) {
    this.#path = path;
    this.#handle = handle;
    this.#listener = this.#listen();
    // The directory has been closed to others since before the socket was: it was never open to them.
    chmodSync(path, 0o600);
    this.#looker = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#looker.unref();
  }

  // Who has waited from one look to the next is not accepted by Bun, which has no descriptor to do so.
  #look(): void {
    const listener = descriptorOf(this.#listener);
    const isWaiting = listener !== undefined && this.#spare?.isWaiting(listener) === true;
    if (isWaiting && this.#wasWaiting) this.#acceptSpare(listener);
    this.#wasWaiting = isWaiting;
  }

  #acceptSpare(listener: number): void {
    const fd = this.#spare?.accept(listener);
    if (fd === undefined) return;
    const options: FdSocketOptions<ControlConnection | undefined> = {
      fd,
      allowHalfOpen: true,
      data: undefined,
      socket: this.#handlers,
    };
    // Bun's types declare FdSocketOptions, but no overload of connect that takes them.
    const accepted = options as unknown as TCPSocketConnectOptions<ControlConnection | undefined>;
    Bun.connect(accepted).catch(() => closeSync(fd));
  }

  #listen(): UnixSocketListener<ControlConnection | undefined> {
    try {
      return Bun.listen<ControlConnection | undefined>({
        unix: this.#path,
        allowHalfOpen: true,
        data: undefined,
        socket: this.#handlers,
      });
    } catch (error) {
      throw new UsageError(
        `cannot listen on ${this.#path}: ${messageOf(error)}`,
        "name a directory on a local disk with --state",
        { cause: error },
      );
    }
  }

  #accept(socket: Socket<ControlConnection | undefined>): void {
    if (this.#connections.size >= CONTROL_LIMITS.maxConnections) return void socket.terminate();
    socket.data = new ControlConnection(socket, this.#handle);
    this.#connections.add(socket.data);
  }

  #forget(connection: ControlConnection | undefined): void {
    if (connection === undefined) return;
    connection.closed();
    this.#connections.delete(connection);
  }

  close(): void {
    clearInterval(this.#looker);
    this.#listener.stop();
    rmSync(this.#path, { force: true });
    for (const connection of this.#connections) connection.dropIfIdle();
  }
}

/** Bun's types do not have it. */
function descriptorOf(listener: object): number | undefined {
  return "fd" in listener && typeof listener.fd === "number" && listener.fd >= 0 ? listener.fd : undefined;
}
