import { dlopen, type Library } from "bun:ffi";
import { libcPath } from "./libc.ts";

/**
 * Descriptors that are kept back from sockets, so that a table which others have filled still leaves some for the
 * control socket and the state files. The kernel keeps them: the soft limit stands below the hard one, and is raised
 * for the moment in which one of ours is opened. Nothing else of the process can run meanwhile.
 */
const RESERVE = 64;
/** Of a very low limit no more than this part. */
const RESERVE_PART = 4;

const SYMBOLS = {
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
} as const;
type Libc = Library<typeof SYMBOLS>["symbols"];

/** On Linux, of x86-64 and arm64: asm-generic/resource.h. */
const RLIMIT_NOFILE = 7;

let reserved: { readonly libc: Libc; readonly count: bigint } | undefined;

/**
 * Keeps the reserve back from now on, and returns how many descriptors are left for all else; undefined where that
 * cannot be told. Bun has raised the soft limit to the hard one when it started.
 */
export function reserveDescriptors(): number | undefined {
  const libc = openLibc();
  const limits = libc === undefined ? undefined : readLimits(libc);
  if (libc === undefined || limits === undefined) return undefined;
  const count = BigInt(Math.min(RESERVE, Math.floor(Number(limits.hard) / RESERVE_PART)));
  const soft = smaller(limits.soft, limits.hard - count);
  if (!writeSoft(libc, soft, limits.hard)) return undefined;
  reserved = { libc, count };
  return Number(soft);
}

/** Runs what must find a descriptor, though sockets have taken all others. It opens them before it returns. */
export function withReserve<T>(work: () => T): T {
  if (reserved === undefined) return work();
  const { libc, count } = reserved;
  // Read anew: an operator may have changed the limit of the running process.
  const limits = readLimits(libc);
  if (limits === undefined) return work();
  writeSoft(libc, smaller(limits.soft + count, limits.hard), limits.hard);
  try {
    return work();
  } finally {
    writeSoft(libc, limits.soft, limits.hard);
  }
}

function openLibc(): Libc | undefined {
  const path = process.platform === "linux" ? libcPath() : undefined;
  try {
    return path === undefined ? undefined : dlopen(path, SYMBOLS).symbols;
  } catch {
    // A libc without these names: there is no reserve.
    return undefined;
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
