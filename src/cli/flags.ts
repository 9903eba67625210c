/**
 * How a command declares what it takes. One declaration feeds the strict parser, the help text, the RVPN_* variables
 * and citty, whose own types it satisfies.
 */
interface StringFlag {
  readonly type: "string";
  readonly description: string;
  /** What stands for the value in the help text, e.g. `[HOST:]PORT`. */
  readonly valueHint: string;
  readonly default?: string;
  readonly required?: true;
  readonly choices?: readonly string[];
  /** May be given several times; its variable holds a list with spaces, as one value may have commas in it. */
  readonly repeatable?: true;
  /** Off for the few flags whose variable would do harm; each says why. */
  readonly env?: false;
}

interface BooleanFlag {
  readonly type: "boolean";
  readonly description: string;
  readonly env?: false;
}

interface Positional {
  readonly type: "positional";
  readonly description: string;
  readonly required?: true;
}

export type Flag = StringFlag | BooleanFlag | Positional;
export type Flags = Readonly<Record<string, Flag>>;

type ValueOf<F extends Flag> = F extends BooleanFlag
  ? boolean
  : F extends { repeatable: true }
    ? readonly string[]
    : F extends { choices: readonly (infer Choice)[] }
      ? F extends { default: string } | { required: true }
        ? Choice
        : Choice | undefined
      : F extends { default: string } | { required: true }
        ? string
        : string | undefined;

/** What a command gets: every declared name, with the type that its declaration promises. */
export type Values<F extends Flags> = { readonly [Name in keyof F]: ValueOf<F[Name]> };

/** The variable that mirrors a flag: `--log-level` is RVPN_LOG_LEVEL. Positional arguments have none. */
export function variableOf(name: string, flag: Flag): string | undefined {
  if (flag.type === "positional" || flag.env === false) return undefined;
  return `RVPN_${name.toUpperCase().replaceAll("-", "_")}`;
}
