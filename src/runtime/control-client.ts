import type { Socket } from "bun";
import { connectingPath, noAccess } from "./control-path.ts";
import {
  CONTROL_LIMITS,
  type ControlRequest,
  decodeReply,
  encodeRequest,
  LineCollector,
} from "./control-protocol.ts";
import { ExitCode, systemCode, UsageError } from "./errors.ts";
import type { Json } from "./json.ts";
import { SocketWriter } from "./socket-writer.ts";

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Asks the process that runs in the state directory `dir`. Undefined if none does. Its UsageErrors are thrown here;
 * one that does not answer within `timeoutMs` is a UsageError too (exit code 1).
 */
export async function callControl(
  dir: string,
  request: ControlRequest,
  timeoutMs: number = DEFAULT_TIMEOUT_MS,
): Promise<Json | undefined> {
  const path = connectingPath(dir);
  if (path === undefined) return undefined;
  const call = new ControlCall(encodeRequest(request));
  const timer = setTimeout(() => call.fail(silent(dir, timeoutMs)), timeoutMs);
  try {
    // Raced, because a connect to a stopped process may itself never end.
    const connected = await Promise.race([connect(path, call), call.reply.then(() => true)]);
    if (!connected) return undefined;
    return decodeReply(await call.reply);
  } finally {
    clearTimeout(timer);
    call.end();
  }
}

/** Whether anybody listens on a socket; what it would say does not matter. */
export async function isAnswering(path: string): Promise<boolean> {
  const call = new ControlCall(new Uint8Array(0));
  const answers = await connect(path, call);
  call.end();
  return answers;
}

/** False if nobody listens there: no such file, or the socket of a process that was killed. */
async function connect(path: string, call: ControlCall): Promise<boolean> {
  try {
    await Bun.connect<undefined>({
      unix: path,
      socket: {
        open: (socket) => call.opened(socket),
        data: (_, chunk) => call.received(chunk),
        drain: () => call.drained(),
        close: () => call.fail(hungUp(path)),
        error: (_, error) => call.fail(error),
      },
    });
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ECONNREFUSED") return false;
    throw code === "EACCES" || code === "EPERM" ? noAccess(path, error) : error;
  }
}

class ControlCall {
  readonly #request: Uint8Array;
  readonly #reply = Promise.withResolvers<Uint8Array>();
  readonly #collector = new LineCollector(CONTROL_LIMITS.maxReplyBytes);
  #socket: Socket<undefined> | undefined;
  #writer: SocketWriter | undefined;
  #ended = false;

  constructor(request: Uint8Array) {
    this.#request = request;
    // It may fail before anybody awaits it.
    this.#reply.promise.catch(() => {});
  }

  get reply(): Promise<Uint8Array> {
    return this.#reply.promise;
  }

  opened(socket: Socket<undefined>): void {
    this.#socket = socket;
    if (this.#ended) return void socket.terminate();
    this.#writer = new SocketWriter(socket, this.#request);
    this.drained();
  }

  drained(): void {
    this.#writer?.write();
  }

  received(chunk: Uint8Array): void {
    const progress = this.#collector.push(chunk);
    if (progress.kind === "complete") this.#reply.resolve(progress.line);
    if (progress.kind === "tooLong") this.fail(new Error("the reply on the control socket is too long"));
  }

  fail(error: Error): void {
    this.#reply.reject(error);
  }

  end(): void {
    this.#ended = true;
    this.#socket?.end();
  }
}

function hungUp(path: string): UsageError {
  return new UsageError(
    `the process that answers on ${path} ended before it replied`,
    "it may have been stopping: see what became of it, and try again",
    { exitCode: ExitCode.unexpected },
  );
}

function silent(dir: string, timeoutMs: number): UsageError {
  return new UsageError(
    `the process that runs in ${dir} did not answer within ${timeoutMs / 1000} s`,
    "see whether it is stopped or overloaded",
    { exitCode: ExitCode.unexpected },
  );
}
