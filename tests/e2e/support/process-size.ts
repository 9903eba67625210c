import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { callControl } from "../../../src/runtime/control.ts";
import type { Child } from "./children.ts";
import type { RvpnServer } from "./rvpn.ts";

/** Memory is back if it is within 10 % or 20 MB, the larger, of what it was after the first equal wave. */
const TOLERANCE = 0.1;
const TOLERANCE_BYTES = 20_000_000;
const SETTLE_MS = 60_000;

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

/**
 * The least that was resident in the minute after work. A collector runs when there is something to do, so `touch` gives
 * the process a little of that: memory that nobody has used for long is no leak.
 */
export async function settledBytes(child: Child, touch: () => Promise<unknown>): Promise<number> {
  let least = residentBytes(child);
  for (const end = performance.now() + SETTLE_MS; performance.now() < end; await Bun.sleep(50)) {
    await touch();
    least = Math.min(least, residentBytes(child));
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
