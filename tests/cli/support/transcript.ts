import { afterAll } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ENTRY = resolve(import.meta.dir, "../../../src/cli.ts");
const FAKES = resolve(import.meta.dir, "fake-client.preload.ts");
export interface Transcript {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** How the fake client behaves; without it the real one is used. */
  readonly fake?: "up" | "refused" | "wrongServer" | "unreachable" | "crash" | "stray" | "revokedLater";
  readonly cwd?: string;
}

/** Call once per test file: gives fresh directories, mode 0700, which are gone when the file's tests are done. */
export function useScratch(): () => string {
  const made: string[] = [];
  afterAll(async () => {
    for (const dir of made) {
      // A test that failed half way may have left a detached client.
      if (existsSync(join(dir, "control.sock"))) await rvpn(["stop", "--state", dir]);
      rmSync(dir, { recursive: true, force: true });
    }
  });
  return () => {
    const dir = mkdtempSync(join(tmpdir(), "rvpn-cli-"));
    made.push(dir);
    return dir;
  };
}

/** The command line that runs rvpn from source, which starts ten times faster than building it. */
export function commandLine(args: readonly string[], surroundings: Surroundings = {}): string[] {
  const preload = surroundings.fake === undefined ? [] : ["--preload", FAKES];
  return [process.execPath, ...preload, ENTRY, ...args];
}

/** Nothing of the tester's own environment but PATH: an RVPN_ variable or a NO_COLOR there would change results. */
export function environment(surroundings: Surroundings = {}): Record<string, string> {
  const { PATH = "" } = process.env;
  return {
    PATH,
    // Bun, where it runs from source, makes a folder .bun in any home that lets it.
    HOME: "/dev/null",
    ...(surroundings.fake === undefined ? {} : { FAKE_CLIENT: surroundings.fake }),
    ...surroundings.env,
  };
}

/** Runs rvpn to its end and gives all that a script would see of it. */
export async function rvpn(args: readonly string[], surroundings: Surroundings = {}): Promise<Transcript> {
  const child = Bun.spawn(commandLine(args, surroundings), {
    env: environment(surroundings),
    stdin: new Blob([surroundings.stdin ?? ""]),
    stdout: "pipe",
    stderr: "pipe",
    cwd: surroundings.cwd ?? tmpdir(),
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}
