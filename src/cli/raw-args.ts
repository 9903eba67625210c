import { UsageError } from "../runtime/errors.ts";
import type { Flag, Flags } from "./flags.ts";
import { presentable } from "./redact.ts";
import { closest } from "./suggest.ts";

const MAX_SHOWN = 80;

/** The arguments of one command, sorted but not yet judged: no defaults, no variables, nothing about what is missing. */
export interface RawArgs {
  readonly texts: ReadonlyMap<string, readonly string[]>;
  readonly switches: ReadonlyMap<string, boolean>;
  /** Where in the raw arguments each name was found, flags with their values: what `without` leaves out. */
  readonly positions: ReadonlyMap<string, readonly number[]>;
  /** What follows `--`, for commands that run another program. */
  readonly command: readonly string[] | undefined;
}

/**
 * Sorts raw arguments by the declarations. citty would let unknown flags and extra arguments pass and turn a missing
 * value into an empty one; here each is a UsageError.
 */
export class RawArgsReader implements RawArgs {
  readonly texts = new Map<string, string[]>();
  readonly switches = new Map<string, boolean>();
  readonly positions = new Map<string, number[]>();
  command: readonly string[] | undefined;
  readonly #flags: Flags;
  readonly #positionals: string[];
  readonly #args: readonly string[];
  #index = 0;

  constructor(flags: Flags, args: readonly string[]) {
    this.#flags = flags;
    this.#positionals = Object.keys(flags).filter((name) => flags[name]?.type === "positional");
    this.#args = args;
  }

  /** `takesCommand`: what follows `--` is another program's command line, not more positional arguments. */
  read(takesCommand: boolean): RawArgs {
    let flagsEnded = false;
    for (; this.#index < this.#args.length; this.#index++) {
      const arg = this.#args[this.#index] ?? "";
      if (flagsEnded || arg === "-" || !arg.startsWith("-")) this.#positional(arg, takesCommand);
      else if (arg !== "--") this.#flag(arg);
      else if (!takesCommand) flagsEnded = true;
      else {
        this.command = this.#args.slice(this.#index + 1);
        break;
      }
    }
    return this;
  }

  #positional(arg: string, takesCommand: boolean): void {
    const name = this.#positionals.find((candidate) => !this.texts.has(candidate));
    if (name !== undefined) return this.#note(name, arg);
    throw new UsageError(
      `unexpected argument ${shown(arg)}`,
      takesCommand
        ? "write the command after two dashes: rvpn run -- curl https://example.org"
        : expected(this.#positionals),
    );
  }

  #flag(arg: string): void {
    const equals = arg.indexOf("=");
    const dashedName = equals === -1 ? arg : arg.slice(0, equals);
    const inlineValue = equals === -1 ? undefined : arg.slice(equals + 1);
    const { name, flag, negated } = this.#resolve(dashedName);
    const isRepeatable = flag.type === "string" && flag.repeatable === true;
    if (this.positions.has(name) && !isRepeatable) {
      throw new UsageError(`--${name} was given twice`, `give --${name} once`);
    }
    if (flag.type === "string") return this.#note(name, this.#valueOf(name, flag.valueHint, inlineValue));
    if (inlineValue !== undefined) {
      throw new UsageError(`${dashedName} takes no value`, `write --${name} or --no-${name}`);
    }
    this.switches.set(name, !negated);
    this.#position(name, this.#index);
  }

  #resolve(dashedName: string): {
    name: string;
    flag: Exclude<Flag, { type: "positional" }>;
    negated: boolean;
  } {
    const name = /^--(?=[^-])(.*)$/s.exec(dashedName)?.[1] ?? "";
    const flag = this.#declared(name);
    if (flag !== undefined) return { name, flag, negated: false };
    const positiveName = name.startsWith("no-") ? name.slice("no-".length) : "";
    const positive = this.#declared(positiveName);
    if (positive?.type === "boolean") return { name: positiveName, flag: positive, negated: true };
    const names = Object.keys(this.#flags).filter((known) => this.#flags[known]?.type !== "positional");
    const guess = closest(name, names);
    throw new UsageError(
      `unknown option ${shown(dashedName)}`,
      guess === undefined ? "--help lists the options" : `did you mean --${guess}? --help lists the options`,
    );
  }

  #declared(name: string): Exclude<Flag, { type: "positional" }> | undefined {
    // hasOwn: "--constructor" must not find what every object inherits.
    const flag = Object.hasOwn(this.#flags, name) ? this.#flags[name] : undefined;
    return flag?.type === "positional" ? undefined : flag;
  }

  #valueOf(name: string, valueHint: string, inlineValue: string | undefined): string {
    const next = this.#args[this.#index + 1];
    // A next argument with a dash is the next flag: taking it for the value would hide which of the two is missing.
    const separate = next === "-" || next?.startsWith("-") === false ? next : undefined;
    const value = inlineValue ?? separate ?? "";
    if (value === "") {
      throw new UsageError(`--${name} needs a value`, `write --${name}=${valueHint}`);
    }
    this.#position(name, this.#index);
    if (inlineValue === undefined) this.#index += 1;
    return value;
  }

  #note(name: string, text: string): void {
    this.texts.set(name, [...(this.texts.get(name) ?? []), text]);
    this.#position(name, this.#index);
  }

  #position(name: string, index: number): void {
    this.positions.set(name, [...(this.positions.get(name) ?? []), index]);
  }
}

function expected(positionals: readonly string[]): string {
  if (positionals.length === 0) return "this command takes options only; --help lists them";
  return `this command takes ${positionals.map((name) => name.toUpperCase()).join(" and ")}; --help tells more`;
}

/** An argument as it may stand in an error message: quoted, not long, and without the secret part of a link. */
export function shown(arg: string): string {
  const hash = arg.indexOf("#");
  const open = presentable(hash === -1 ? arg : `${arg.slice(0, hash)}#…`);
  return JSON.stringify(open.length > MAX_SHOWN ? `${open.slice(0, MAX_SHOWN)}…` : open);
}
