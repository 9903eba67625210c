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
import { descriptorLimit } from "./descriptors.ts";
import { messageOf, UsageError } from "./errors.ts";
import { isLockedHere, lockStateDir, StateDirBusy } from "./lock.ts";

export interface ControlServer {
  /** Where it listens; usually `control.sock` in the state directory. */
  readonly path: string;
  /** To be called some times a second where a reserve is kept: takes who waits for a descriptor, which Bun has none for. */
  look(): void;
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
      look: () => listener.look(),
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

/** Whom Bun has left waiting for so long it cannot accept. A revocation takes effect within a second, all in all. */
const LEFT_WAITING_MS = 100;

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
  readonly #spare = descriptorLimit() === undefined ? undefined : openSpareAccept();
  #looker: ReturnType<typeof setTimeout> | undefined;

  constructor(path: string, handle: ControlHandler) {
    this.#path = path;
    this.#handle = handle;
    this.#listener = this.#listen();
    // The directory has been closed to others since before the socket was: it was never open to them.
    chmodSync(path, 0o600);
  }

  look(): void {
    if (this.#looker !== undefined || this.#waitedAt() === undefined) return;
    this.#looker = setTimeout(() => {
      this.#looker = undefined;
      this.#acceptSpare();
      // Another may have come meanwhile.
      this.look();
    }, LEFT_WAITING_MS);
  }

  /** The listening socket, if somebody waits there to be accepted. */
  #waitedAt(): number | undefined {
    const listener = descriptorOf(this.#listener);
    return listener !== undefined && this.#spare?.isWaiting(listener) === true ? listener : undefined;
  }

  #acceptSpare(): void {
    const listener = this.#waitedAt();
    const fd = listener === undefined ? undefined : this.#spare?.accept(listener);
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
    clearTimeout(this.#looker);
    this.#listener.stop();
    rmSync(this.#path, { force: true });
    for (const connection of this.#connections) connection.dropIfIdle();
  }
}

/** Bun's types do not have it. */
function descriptorOf(listener: object): number | undefined {
  return "fd" in listener && typeof listener.fd === "number" && listener.fd >= 0 ? listener.fd : undefined;
}
