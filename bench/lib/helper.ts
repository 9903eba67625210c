import type { Processes } from "./processes.ts";

/** A program of the bench's own, in a process of its own, which says in lines of JSON what it has to say. */
export interface Helper {
  readonly pid: number;
  /** A number of the line that the helper began with. */
  number(name: string): number;
  /** Sends a line and gives back the line that answers it. */
  ask(line: string): Promise<Record<string, unknown>>;
  end(): Promise<void>;
}

/** Starts a helper with this very Bun and waits for its first line. */
export async function startHelper(
  processes: Processes,
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Helper> {
  const child = processes.spawn([process.execPath, script, ...args], {
    env,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const { stdin, stdout } = child;
  if (!(stdout instanceof ReadableStream) || typeof stdin !== "object")
    throw new Error("a helper has no pipes");
  const lines = linesOf(stdout);
  const next = async (): Promise<Record<string, unknown>> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`${script} ended: ${await errorsOf(child)}`);
    return JSON.parse(value);
  };
  const first = await next();
  return {
    pid: child.pid,
    number: (name) => numberOf(first, name),
    ask: (line) => {
      stdin.write(`${line}\n`);
      stdin.flush();
      return next();
    },
    end: () => processes.end(child),
  };
}

/** A field of a helper's line that has to be a number. */
export function numberOf(line: Readonly<Record<string, unknown>>, name: string): number {
  const value = line[name];
  if (typeof value !== "number") throw new Error(`a helper said nothing of ${name}`);
  return value;
}

async function errorsOf(child: Bun.Subprocess): Promise<string> {
  return child.stderr instanceof ReadableStream ? (await new Response(child.stderr).text()).trim() : "";
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  return undefined;
}
