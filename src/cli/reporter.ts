import { createConsola, type LogObject } from "consola/core";
import type { Log, LogFields, LogLevel } from "../runtime/log.ts";
import { writeStderr } from "./output.ts";
import { presentable } from "./redact.ts";

/** consola's numbers. It takes names too, but turns an unknown one into NaN, which lets everything through. */
const CONSOLA_LEVELS: Record<LogLevel, number> = { error: 0, warn: 1, info: 3, debug: 4 };

const COLORS: Readonly<Record<string, string>> = {
  error: "\u001b[31m",
  warn: "\u001b[33m",
  debug: "\u001b[2m",
};
const PLAIN = "\u001b[0m";

export interface ReporterOptions {
  readonly level: LogLevel;
  /** For what runs for long and is read later: the server, and a client that logs to a file. */
  readonly timestamps: boolean;
  readonly colors: boolean;
  /** Where the lines go; stderr unless a test listens. */
  readonly write?: (text: string) => void;
}

/**
 * The log of the program: one line per event on stderr. consola decides what the level lets through; the line is ours,
 * as consola's own reporters write info to stdout.
 */
export function createReporter(options: ReporterOptions): Log {
  const write = options.write ?? writeStderr;
  const consola = createConsola({
    level: CONSOLA_LEVELS[options.level],
    // consola folds equal lines of one second. An operator who counts reconnects needs each of them.
    throttle: Number.NEGATIVE_INFINITY,
    reporters: [{ log: (entry) => write(`${formatLine(entry, options)}\n`) }],
  });
  return {
    error: (message, fields) => consola.error(message, fields),
    warn: (message, fields) => consola.warn(message, fields),
    info: (message, fields) => consola.info(message, fields),
    debug: (message, fields) => consola.debug(message, fields),
  };
}

function formatLine(entry: LogObject, options: ReporterOptions): string {
  const [message, fields]: readonly unknown[] = entry.args;
  const text = `${presentable(String(message))}${formatFields(fields)}`;
  const word = options.timestamps || entry.type !== "info" ? `${entry.type} ` : "";
  const color = options.colors ? COLORS[entry.type] : undefined;
  const painted = color === undefined ? word : `${color}${word}${PLAIN}`;
  return options.timestamps ? `${entry.date.toISOString()} ${painted}${text}` : `${painted}${text}`;
}

function formatFields(fields: unknown): string {
  if (!isFields(fields)) return "";
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return given.map(([name, value]) => ` ${name}=${formatValue(value)}`).join("");
}

/** Bare words stay bare; anything else is quoted, so that a value cannot pass for another field. */
function formatValue(value: string | number | boolean | undefined): string {
  const text = String(value);
  return /^[\w.:/@+[\]-]+$/.test(text) ? text : presentable(JSON.stringify(text));
}

function isFields(value: unknown): value is LogFields {
  return typeof value === "object" && value !== null;
}
