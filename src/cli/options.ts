import { resolve } from "node:path";
import { UsageError } from "../runtime/errors.ts";
import type { Log, LogLevel } from "../runtime/log.ts";
import { defaultStateDir } from "../runtime/state-dir.ts";
import { parseDuration } from "../runtime/units.ts";
import type { Flag } from "./flags.ts";
import { stderrHasColors } from "./output.ts";
import { createReporter } from "./reporter.ts";

/** Declarations that several commands share, and the readers of values that mean the same everywhere. */

export const serverStateFlag = {
  type: "string",
  valueHint: "DIR",
  description:
    "the server's state directory; default $XDG_STATE_HOME/rvpn/server, for root /var/lib/rvpn/server",
} as const satisfies Flag;

export const clientStateFlag = {
  type: "string",
  valueHint: "DIR",
  description:
    "the client's state directory; default $XDG_STATE_HOME/rvpn/client, for root /var/lib/rvpn/client",
} as const satisfies Flag;

export const jsonFlag = { type: "boolean", description: "print JSON" } as const satisfies Flag;

export const paddingFlag = {
  type: "string",
  valueHint: "POLICY",
  choices: ["padme", "none"],
  default: "padme",
  description: "how lengths of small packets are hidden: padme or none",
} as const satisfies Flag;

/** What it stands for differs between the ends, and each says so. */
export const poolFlag = {
  type: "string",
  valueHint: "on|off",
  choices: ["on", "off"],
  default: "on",
} as const;

/** setTimeout counts in 31 bits of milliseconds and fires at once beyond. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The state directory, absolute: a detached client leaves the directory it was started in. */
export function stateDirOf(given: string | undefined, role: "server" | "client"): string {
  return given === undefined ? defaultStateDir(role) : resolve(given);
}

/** A duration that a timer will count. */
export function timerOf(text: string, label: string): number {
  const ms = parseDuration(text, label);
  if (ms <= MAX_TIMER_MS) return ms;
  throw new UsageError(`${label}: "${text}" is too long`, "give at most 24d");
}

/** A whole number from 1 to `max`. */
export function countOf(text: string, label: string, max: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= max) return count;
  throw new UsageError(
    `${label}: ${JSON.stringify(text)} is not a count`,
    `write a whole number from 1 to ${max}`,
  );
}

/** The log of a command: what `--log-level` asked for, else what suits the command. */
export function logOf(
  level: LogLevel | undefined,
  options: { otherwise: LogLevel; timestamps: boolean },
): Log {
  return createReporter({
    level: level ?? options.otherwise,
    timestamps: options.timestamps,
    colors: stderrHasColors(process.env),
  });
}
