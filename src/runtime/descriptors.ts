import type { Library } from "bun:ffi";
import { linuxLibc } from "./libc.ts";

/**
 * Descriptors that are kept back from whoever connects, so that a table which strangers have filled still leaves some:
 * 64 for the control socket and the state files, and a quarter of all for what admitted clients want to be connected to.
 * The kernel keeps them: the soft limit stands below the hard one, and is raised for the moment in which one of ours is
 * opened. Nothing else of the process can run meanwhile.
 */
const OWN = 64;
const DIALS_PART = 4;
/** Of a very low limit our own are no more than this part. */
const OWN_PART = 4;

export type ReserveUse = "own" | "dials";

const SYMBOLS = {
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
} as const;
type Libc = Library<typeof SYMBOLS>["symbols"];

/** On Linux, of x86-64 and arm64: asm-generic/resource.h. */
const RLIMIT_NOFILE = 7;

let reserved: { readonly libc: Libc; readonly counts: Readonly<Record<ReserveUse, bigint>> } | undefined;

/**
 * Keeps the reserve back from now on, and returns how many descriptors there are beside our own; undefined where that
 * cannot be told. Bun has raised the soft limit to the hard one when it started.
 */
export function reserveDescriptors(): number | undefined {
  const libc = linuxLibc(SYMBOLS);
  const limits = libc === undefined ? undefined : readLimits(libc);
  if (libc === undefined || limits === undefined) return undefined;
  const all = Number(limits.hard);
  const own = Math.min(OWN, Math.floor(all / OWN_PART));
  const dials = Math.floor((all - own) / DIALS_PART);
  const soft = smaller(limits.soft, BigInt(all - own - dials));
  if (!writeSoft(libc, soft, limits.hard)) return undefined;
  reserved = { libc, counts: { own: BigInt(own + dials), dials: BigInt(dials) } };
  return Number(soft) + dials;
}

/** How many descriptors those may have now who have no part in the reserve; undefined where nothing is kept back. */
export function descriptorLimit(): number | undefined {
  const limits = reserved === undefined ? undefined : readLimits(reserved.libc);
  return limits === undefined ? undefined : Number(limits.soft);
}

/** Runs what must find a descriptor, though others have taken the rest. It opens them before it returns. */
export function withReserve<T>(use: ReserveUse, work: () => T): T {
  if (reserved === undefined) return work();
  const { libc, counts } = reserved;
  // Read anew: an operator may have changed the limit of the running process.
  const limits = readLimits(libc);
  if (limits === undefined) return work();
  writeSoft(libc, smaller(limits.soft + counts[use], limits.hard), limits.hard);
  try {
    return work();
  } finally {
    writeSoft(libc, limits.soft, limits.hard);
  }
}

function readLimits(libc: Libc): { readonly soft: bigint; readonly hard: bigint } | undefined {
  const limits = new BigUint64Array(2);
  if (libc.getrlimit(RLIMIT_NOFILE, limits) !== 0) return undefined;
  const [soft = 0n, hard = 0n] = limits;
  return { soft, hard };
}

function writeSoft(libc: Libc, soft: bigint, hard: bigint): boolean {
  return libc.setrlimit(RLIMIT_NOFILE, new BigUint64Array([soft, hard])) === 0;
}

function smaller(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
