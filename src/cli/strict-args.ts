import { UsageError } from "../runtime/errors.ts";
import { type Flag, type Flags, type Values, variableOf } from "./flags.ts";
import { type RawArgs, RawArgsReader } from "./raw-args.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A command's arguments after all checks that need no knowledge of their meaning. */
export interface Args<F extends Flags> {
  readonly values: Values<F>;
  /** How the operator gave a value, for error messages: `--proxy` or `RVPN_PROXY`. */
  nameOf(name: keyof F & string): string;
  /** What follows `--`, for commands that run another program; undefined without `--`. */
  readonly command: readonly string[] | undefined;
  /** The raw arguments without these: for starting the program again. */
  without(...names: (keyof F & string)[]): string[];
}

/** Checks raw arguments against the declarations and fills in variables and defaults. A flag wins over its variable. */
export function parseStrict<F extends Flags>(
  flags: F,
  rawArgs: readonly string[],
  env: Environment,
  options: { takesCommand?: boolean } = {},
): Args<F> {
  const raw = new RawArgsReader(flags, rawArgs).read(options.takesCommand === true);
  const values: Record<string, unknown> = {};
  const names = new Map<string, string>();
  for (const [name, flag] of Object.entries(flags)) {
    const source = sourceOf(name, flag, raw, env);
    if (source !== undefined) names.set(name, source.name);
    values[name] = flag.type === "boolean" ? (source?.on ?? false) : textValue(name, flag, source);
  }
  return {
    // The loop gave every declared name a value of the kind that ValueOf derives from the same declaration.
    values: values as Values<F>,
    nameOf: (name) => names.get(name) ?? `--${name}`,
    command: raw.command,
    without: (...left) => {
      const indexes = new Set(left.flatMap((name) => raw.positions.get(name) ?? []));
      return rawArgs.filter((_, index) => !indexes.has(index));
    },
  };
}

/** Whether the operator asks for help rather than for the command: before any other judgement, but not after `--`. */
export function asksForHelp(rawArgs: readonly string[]): boolean {
  const end = rawArgs.indexOf("--");
  const own = end === -1 ? rawArgs : rawArgs.slice(0, end);
  return own.includes("--help") || own.includes("-h");
}

/** One value as given: texts for strings and positionals, `on` for booleans. */
interface Source {
  readonly name: string;
  readonly texts: readonly string[];
  readonly on?: boolean;
}

function sourceOf(name: string, flag: Flag, raw: RawArgs, env: Environment): Source | undefined {
  const texts = raw.texts.get(name);
  const on = raw.switches.get(name);
  const label = flag.type === "positional" ? name.toUpperCase() : `--${name}`;
  if (on !== undefined) return { name: label, texts: [], on };
  if (texts !== undefined) return { name: label, texts };
  const variable = variableOf(name, flag);
  const text = variable === undefined ? undefined : env[variable];
  // An empty variable is how shells and CI systems say "not set".
  if (variable === undefined || text === undefined || text === "") return undefined;
  if (flag.type === "boolean") return { name: variable, texts: [], on: parseSwitch(text, variable) };
  const isList = flag.type === "string" && flag.repeatable === true;
  return { name: variable, texts: isList ? text.trim().split(/\s+/) : [text] };
}

function parseSwitch(text: string, variable: string): boolean {
  if (["1", "true", "yes"].includes(text)) return true;
  if (["0", "false", "no"].includes(text)) return false;
  throw new UsageError(
    `${variable}: ${JSON.stringify(text)} is neither yes nor no`,
    `set ${variable} to 1 or 0`,
  );
}

function textValue(
  name: string,
  flag: Exclude<Flag, { type: "boolean" }>,
  source: Source | undefined,
): string | readonly string[] | undefined {
  if (flag.type === "positional") {
    if (flag.required === true && source === undefined) throw missing(name.toUpperCase());
    return source?.texts[0];
  }
  for (const text of source?.texts ?? []) checkChoice(text, flag.choices, source?.name ?? name);
  if (flag.repeatable === true) return source?.texts ?? [];
  if (flag.required === true && source === undefined) throw missing(`--${name}`, flag.valueHint);
  return source?.texts[0] ?? flag.default;
}

function missing(label: string, valueHint?: string): UsageError {
  const example = valueHint === undefined ? "" : `write ${label} ${valueHint}; `;
  return new UsageError(`${label} is missing`, `${example}--help tells more`);
}

function checkChoice(text: string, choices: readonly string[] | undefined, label: string): void {
  if (choices === undefined || choices.includes(text)) return;
  throw new UsageError(
    `${label}: ${JSON.stringify(text)} is not known`,
    `choose one of: ${choices.join(", ")}`,
  );
}
