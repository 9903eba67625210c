import type { Daemon, Processes } from "../lib/processes.ts";

/** Makes a port that leads to the given one over the path that a test lays between client and server. */
export type Lay = (port: number) => Promise<number>;

export interface Setup {
  readonly processes: Processes;
  /** For state and configuration; removed by the bench. */
  readonly directory: string;
  readonly lay: Lay;
  /** A port of the origin, for seeing whether everything stands. */
  readonly probePort: number;
}

/** Something that the benchmark measures: rvpn, a peer of it, or a bound that neither can pass. */
export interface Contestant {
  readonly name: string;
  readonly role: "ours" | "peer" | "bound";
  /** Left out of quick runs but for the first tests: another one says nearly the same. */
  readonly fullOnly?: boolean;
  /** Takes part where `--peers` names it, and nowhere else. */
  readonly onlyNamed?: boolean;
  /** Why it cannot take part on this machine. */
  missing(): string | undefined;
  /** Starts both ends; they need not be ready yet. */
  start(setup: Setup): Promise<Ends>;
}

/** Both ends of a started contestant. */
export interface Ends {
  /** Undefined: requests go straight to their port, laid over the path. */
  readonly socksPort: number | undefined;
  readonly client: readonly Daemon[];
  readonly server: readonly Daemon[];
}

/** Says that none of the programs is missing, or which. */
export function missingPrograms(...programs: readonly string[]): string | undefined {
  const missing = programs.filter((program) => Bun.which(program, { PATH: SEARCH_PATH }) === null);
  return missing.length === 0 ? undefined : `${missing.join(" and ")} not found`;
}

/** The absolute path of a program that is there. */
export function programPath(program: string): string {
  return Bun.which(program, { PATH: SEARCH_PATH }) ?? program;
}

/** sshd lives where a user's PATH does not look, and wants to be called by its full name. */
const SEARCH_PATH = `${process.env.PATH ?? ""}:/usr/sbin:/usr/local/sbin`;
