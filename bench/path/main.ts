/**
 * Paths with a round trip time, a rate and a queue, each laid between a client and its server: `main.ts RTT_MS [MBIT/S
 * [QUEUE_BYTES]]`, a process of its own. Answers a line of JSON to each line of its input:
 *
 *   lay PORT N   {"port"}: what connects there comes out at PORT, over path N
 *   bytes        {"up","down"}: sent so far, over all paths
 *   cut          {"cut"}: breaks all connections, as a change of network does
 *
 * The kernels here talk over loopback, so nothing of TCP's own waiting is in it: a connection is made to wait for the
 * round trip that its handshake would take, and the window is what the kernel's buffers hold.
 */
import { createInterface } from "node:readline";
import type { Socket } from "bun";
import { Lane, type LaneOptions } from "./lane.ts";
import { Pipe } from "./pipe.ts";
import { descriptorOf, shrinkReceiveBuffer } from "./receive-buffer.ts";

interface Lanes {
  readonly up: Lane;
  readonly down: Lane;
}

interface Sides {
  readonly lanes: Lanes;
  readonly up: Pipe;
  down: Pipe | undefined;
  far: Socket<Sides> | undefined;
  readonly near: Socket<Sides>;
}

const DEFAULT_QUEUE_BYTES = 1024 * 1024;
const [rttText = "0", rateText, queueText] = process.argv.slice(2);
const rttMs = Number(rttText);
const queueBytes = Number(queueText ?? DEFAULT_QUEUE_BYTES);
const bytesPerMs = rateText === undefined ? Number.POSITIVE_INFINITY : (Number(rateText) * 1e6) / 8 / 1000;
const laneOptions: LaneOptions = { delayMs: rttMs / 2, bytesPerMs, queueBytes };
const paths = new Map<string, Lanes>();
const connections = new Set<Sides>();

process.stdout.write(`${JSON.stringify({ ready: 1 })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(line))}\n`);
}
process.exit(0);

function answer(line: string): object {
  const [verb, port, path = ""] = line.split(" ");
  if (verb === "lay") return { port: lay(Number(port), lanesOf(path)) };
  if (verb === "bytes") return { up: sum(({ up }) => up.bytes), down: sum(({ down }) => down.bytes) };
  const cut = connections.size;
  for (const sides of [...connections]) breakOff(sides);
  return { cut };
}

function sum(count: (lanes: Lanes) => number): number {
  return [...paths.values()].reduce((total, lanes) => total + count(lanes), 0);
}

function lanesOf(path: string): Lanes {
  const lanes = paths.get(path) ?? { up: new Lane(laneOptions), down: new Lane(laneOptions) };
  paths.set(path, lanes);
  return lanes;
}

function lay(port: number, lanes: Lanes): number {
  const listener = Bun.listen<Sides>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      open: (near) => accept(near, port, lanes),
      data: (near, bytes) => near.data.up.push(bytes),
      end: (near) => near.data.up.end(),
      drain: (near) => near.data.down?.drained(),
      close: (near, error) => closed(near.data, near.data.up, near.data.down, error),
      error: () => {},
    },
  });
  if (queueText !== undefined) shrinkReceiveBuffer(descriptorOf(listener), queueBytes);
  return listener.port;
}

/** The client's handshake takes a round trip, and the server hears of the connection half of one later. */
function accept(near: Socket<Sides>, port: number, lanes: Lanes): void {
  const established = performance.now() + rttMs;
  const up = new Pipe(lanes.up, near, established);
  const sides: Sides = { lanes, near, up, down: undefined, far: undefined };
  near.data = sides;
  connections.add(sides);
  setTimeout(() => void connectFar(sides, port), rttMs * 1.5);
}

async function connectFar(sides: Sides, port: number): Promise<void> {
  if (!connections.has(sides)) return;
  try {
    await Bun.connect<Sides>({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      data: sides,
      socket: {
        open: (far) => openFar(sides, far),
        data: (_far, bytes) => sides.down?.push(bytes),
        end: () => sides.down?.end(),
        drain: () => sides.up.drained(),
        close: (_far, error) => closed(sides, sides.down, sides.up, error),
        error: () => {},
      },
    });
  } catch {
    breakOff(sides);
  }
}

function openFar(sides: Sides, far: Socket<Sides>): void {
  if (queueText !== undefined) shrinkReceiveBuffer(descriptorOf(far), queueBytes);
  sides.far = far;
  sides.down = new Pipe(sides.lanes.down, far, 0);
  sides.down.connect(sides.near);
  sides.up.connect(far);
}

/** After our own shutdown of a socket its peer's FIN comes as a close without error: `back` is done, `out` ends. */
function closed(sides: Sides, out: Pipe | undefined, back: Pipe | undefined, error: Error | undefined): void {
  if (error !== undefined || back?.isDone !== true || out === undefined) return breakOff(sides);
  if (out.isDone) connections.delete(sides);
  else out.end();
}

function breakOff(sides: Sides): void {
  connections.delete(sides);
  sides.up.stop();
  sides.down?.stop();
  sides.near.terminate();
  sides.far?.terminate();
}
