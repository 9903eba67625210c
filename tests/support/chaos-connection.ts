import type { Socket, SocketHandler } from "bun";
import type { Direction, Path } from "./chaos-path.ts";

/** Held for one direction of one connection before its reader pauses; one read of up to 512 KiB comes on top. */
const MAX_HELD_BYTES = 1024 * 1024;
/** Bytes that are passed on at once: small beside any rate that a test throttles to. */
const PIECE_BYTES = 16 * 1024;

interface Piece {
  readonly bytes: Uint8Array;
  readonly arrivedAt: number;
}

/** One direction: from the socket that reads to the one that writes. */
interface Lane {
  readonly queue: Piece[];
  heldBytes: number;
  /** How the reading side ended; told to the writing side behind the queue, a reset before it. */
  ending: { readonly how: "fin" | "reset"; readonly at: number } | undefined;
  told: boolean;
  spoken: boolean;
  /** Kept apart from the socket's own flag, which says nothing after a close. */
  paused: boolean;
}

type ChaosSocket = Socket<ChaosConnection>;

function lane(): Lane {
  return { queue: [], heldBytes: 0, ending: undefined, told: false, spoken: false, paused: false };
}

/** One connection through the proxy: two sockets and a lane for each direction. */
export class ChaosConnection {
  readonly #path: Path;
  readonly #onGone: (self: ChaosConnection) => void;
  /** The sockets by the direction that is read from them: `up` is the side that dialled. */
  readonly #sockets: Partial<Record<Direction, ChaosSocket>> = {};
  readonly #lanes: Readonly<Record<Direction, Lane>> = { up: lane(), down: lane() };
  /** Its bytes are swallowed and nothing is told any more. */
  #abandoned = false;
  #destroyed = false;
  #dialling = false;

  constructor(path: Path, onGone: (self: ChaosConnection) => void) {
    this.#path = path;
    this.#onGone = onGone;
  }

  /** Handlers for the socket from which `direction` is read. */
  static handlers(direction: Direction): SocketHandler<ChaosConnection> {
    return {
      data: ({ data }, bytes) => data.#read(direction, bytes),
      drain: ({ data }) => void data.#pump(other(direction)),
      end: ({ data }) => data.#ended(direction, "fin"),
      close: ({ data }, error) => data.#closed(direction, error ?? undefined),
      error: () => {},
    };
  }

  /** The side that dialled is here; dials the other, unless the path swallows everything. */
  accepted(socket: ChaosSocket, hostname: string, port: number): void {
    this.#sockets.up = socket;
    if (this.#path.swallowing) return this.abandon();
    this.#dialling = true;
    const handlers: SocketHandler<ChaosConnection> = {
      ...ChaosConnection.handlers("down"),
      open: (target) => this.#connected(target),
      connectError: () => this.#unreachable(),
    };
    Bun.connect({ hostname, port, allowHalfOpen: true, data: this, socket: handlers }).catch(() =>
      this.#unreachable(),
    );
  }

  #connected(target: ChaosSocket): void {
    this.#dialling = false;
    this.#sockets.down = target;
    // It was broken while this was under way, by us or by the side that dialled.
    const isGone = this.#sockets.up === undefined && this.#lanes.up.ending?.how !== "fin";
    if (this.#destroyed || (isGone && !this.#abandoned)) {
      target.terminate();
      return;
    }
    this.pump();
  }

  #unreachable(): void {
    this.#dialling = false;
    this.#sockets.up?.terminate();
    this.#settle();
  }

  /** Breaks both sides. True if both had spoken. */
  cut(how: "reset" | "fin"): boolean {
    if (this.#abandoned) return false;
    const inUse = this.#lanes.up.spoken && this.#lanes.down.spoken;
    if (how === "reset") this.destroy();
    else {
      // What was under way is lost; unread input would make a reset of a close, so it is read and dropped.
      this.abandon();
      for (const socket of this.#both()) socket.shutdown();
    }
    return inUse;
  }

  /** From now on its bytes are swallowed and neither side hears of the other. */
  abandon(): void {
    this.#abandoned = true;
    for (const direction of ["up", "down"] as const) {
      const { queue } = this.#lanes[direction];
      for (const { bytes } of queue.splice(0)) this.#path.swallowed += bytes.length;
      this.#lanes[direction].heldBytes = 0;
      this.#resume(direction);
    }
  }

  destroy(): void {
    this.#abandoned = true;
    this.#destroyed = true;
    for (const socket of this.#both()) socket.terminate();
    this.#settle();
  }

  /** Passes on what is due. True if that was anything. */
  pump(): boolean {
    const up = this.#pump("up");
    return this.#pump("down") || up;
  }

  #read(direction: Direction, bytes: Uint8Array): void {
    if (this.#abandoned) {
      this.#path.swallowed += bytes.length;
      return;
    }
    const lane = this.#lanes[direction];
    lane.spoken = true;
    lane.heldBytes += bytes.length;
    lane.queue.push({ bytes, arrivedAt: performance.now() });
    this.#pump(direction);
    if (lane.heldBytes < MAX_HELD_BYTES || lane.paused) return;
    lane.paused = true;
    this.#sockets[direction]?.pause();
  }

  /** Passes on what is due in one direction, then how it ended. True if bytes went through. */
  #pump(direction: Direction): boolean {
    const target = this.#sockets[other(direction)];
    if (target === undefined || this.#abandoned) return false;
    const lane = this.#lanes[direction];
    if (lane.ending?.how === "reset" && this.#isDue(direction, lane.ending.at)) {
      target.terminate();
      return false;
    }
    let passed = false;
    for (let piece = lane.queue[0]; piece !== undefined; piece = lane.queue[0]) {
      if (!this.#isDue(direction, piece.arrivedAt)) return passed;
      const part = piece.bytes.subarray(0, PIECE_BYTES);
      const taken = Math.max(target.write(part), 0);
      passed ||= taken > 0;
      this.#path.passed(direction, taken, performance.now());
      lane.heldBytes -= taken;
      if (taken === piece.bytes.length) lane.queue.shift();
      else lane.queue[0] = { ...piece, bytes: piece.bytes.subarray(taken) };
      if (lane.heldBytes < MAX_HELD_BYTES / 2) this.#resume(direction);
      if (taken < part.length) return passed;
    }
    if (lane.ending === undefined || lane.told || !this.#isDue(direction, lane.ending.at)) return passed;
    lane.told = true;
    target.shutdown();
    return passed;
  }

  #isDue(direction: Direction, arrivedAt: number): boolean {
    const now = performance.now();
    const at = this.#path.dueAt(direction, arrivedAt);
    if (at <= now) return true;
    this.#path.wakeAt(at, now);
    return false;
  }

  #resume(direction: Direction): void {
    const lane = this.#lanes[direction];
    if (!lane.paused) return;
    lane.paused = false;
    this.#sockets[direction]?.resume();
  }

  #ended(direction: Direction, how: "fin" | "reset"): void {
    this.#lanes[direction].ending ??= { how, at: performance.now() };
    this.#pump(direction);
  }

  #closed(direction: Direction, error: Error | undefined): void {
    delete this.#sockets[direction];
    // A FIN after our own shutdown is reported as a close without an error.
    this.#ended(direction, error === undefined ? "fin" : "reset");
    this.#settle();
  }

  #settle(): void {
    if (this.#both().length === 0 && !this.#dialling) this.#onGone(this);
  }

  #both(): ChaosSocket[] {
    return [this.#sockets.up, this.#sockets.down].filter((socket) => socket !== undefined);
  }
}

function other(direction: Direction): Direction {
  return direction === "up" ? "down" : "up";
}
