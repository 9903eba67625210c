import { existsSync } from "node:fs";
import { resolve } from "node:path";

/** What the scripts share: where things are, and running a command. Only Bun itself may be imported here. */
export const ROOT = resolve(import.meta.dir, "..");
export const BINARY = resolve(ROOT, "dist/rvpn");

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
}

/** Says on stderr what is going on; results belong on stdout. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Prints a result line. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Runs a command in the project's directory with its output passed through. */
export async function run(command: readonly string[], env: Record<string, string> = {}): Promise<number> {
  const child = Bun.spawn([...command], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  return child.exited;
}

/** Runs a command and gives back what it printed. */
export async function capture(command: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = Bun.spawn([...command], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stdout = await new Response(child.stdout).text();
  return { exitCode: await child.exited, stdout };
}

/** This very Bun, so that a clean machine needs no other. */
export const bun = process.execPath;

/** Installs the pinned packages unless they are there. Ends the script when that fails. */
export async function ensureInstalled(): Promise<void> {
  if (existsSync(resolve(ROOT, "node_modules/citty"))) return;
  say("installing packages");
  await orExit([bun, "install", "--frozen-lockfile"]);
}

/** Builds the binary anew. Ends the script when that fails. */
export async function build(): Promise<void> {
  await orExit([bun, "scripts/build.ts"]);
}

async function orExit(command: readonly string[]): Promise<void> {
  const code = await run(command);
  if (code !== 0) process.exit(code);
}
