import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { callControl } from "../../../src/runtime/control.ts";
import type { Child } from "./children.ts";
import type { RvpnServer } from "./rvpn.ts";

/** Memory is back if it is within 10 % or 20 MB, the larger, of what it was after the first equal wave. */
const TOLERANCE = 0.1;
const TOLERANCE_BYTES = 20_000_000;
/** Memory has settled when no megabyte has come back for ten seconds. */
const SETTLED_MS = 10_000;
const SETTLED_BYTES = 1_000_000;
const SETTLE_LIMIT_MS = 60_000;

/** Open descriptors of a process. */
export function descriptorsOf({ pid }: Child): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Resident memory of a process, in bytes. */
export function residentBytes({ pid }: Child): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  if (kilobytes === undefined) throw new Error(`process ${pid} shows no memory`);
  return Number(kilobytes) * 1024;
}

/** What stays resident when a process has nothing to do: its collector and allocator give memory back by and by. */
export async function settledBytes(child: Child): Promise<number> {
  const end = performance.now() + SETTLE_LIMIT_MS;
  let least = residentBytes(child);
  for (let leastAt = performance.now(); performance.now() < Math.min(end, leastAt + SETTLED_MS); ) {
    await Bun.sleep(250);
    const now = residentBytes(child);
    if (now >= least - SETTLED_BYTES) continue;
    least = now;
    leastAt = performance.now();
  }
  return least;
}

export function expectMemoryBack(firstBytes: number, lastBytes: number): void {
  expect(lastBytes).toBeLessThanOrEqual(firstBytes + Math.max(TOLERANCE * firstBytes, TOLERANCE_BYTES));
}

/** The server's own counters, by name, as its control socket tells them. */
export async function countersOf({ state }: RvpnServer): Promise<Readonly<Record<string, number>>> {
  const reply = await callControl(state, { op: "status" });
  const entries = typeof reply === "object" && reply !== null ? Object.entries(reply) : [];
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (typeof value === "number" ? [[name, value]] : [])),
  );
}
