import type { Command } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { type Flag, variableOf } from "./flags.ts";

const LINE_WIDTH = 100;
const LEFT_WIDTH = 28;

/** What `rvpn --help` prints. It loads no command. */
export function renderRootHelp(): string {
  const commands = Object.entries(COMMANDS).map(([name, { summary }]) => row(name, summary));
  return [
    "rvpn: an encrypted tunnel in one executable",
    "",
    "usage: rvpn COMMAND [options]",
    "",
    "commands:",
    ...commands,
    "",
    "options:",
    row("--help", "this text; rvpn COMMAND --help tells about a command"),
    row("--version", "print the version"),
    "",
    "exit codes:",
    "  0 ok, 1 unexpected, 2 usage, 3 server not reached, 4 refused by the server,",
    "  5 wrong server identity, 6 port taken",
  ].join("\n");
}

/**
 * What `rvpn COMMAND --help` prints. citty's own would color pipes, and knows neither variables nor what follows `--`.
 */
export function renderHelp(name: string, summary: string, command: Command): string {
  const flags = Object.entries(command.flags);
  const positionals = flags.filter(([, flag]) => flag.type === "positional");
  const options = flags.filter(([, flag]) => flag.type !== "positional");
  const usage = [
    `usage: rvpn ${name}`,
    ...options.flatMap(([key, flag]) => (isRequired(flag) ? [optionText(key, flag)] : [])),
    "[options]",
    ...positionals.map(([key, flag]) => (isRequired(flag) ? key.toUpperCase() : `[${key.toUpperCase()}]`)),
    ...(command.takesCommand ? ["-- CMD…"] : []),
  ];
  return [
    `rvpn ${name}: ${summary}`,
    "",
    usage.join(" "),
    ...section(
      "arguments",
      positionals.map(([key, flag]) => row(key.toUpperCase(), flag.description)),
    ),
    ...section("options", [
      ...options.map(([key, flag]) => row(optionText(key, flag), describe(key, flag))),
      row("--help", "this text"),
    ]),
    ...(command.notes === undefined ? [] : ["", command.notes]),
  ].join("\n");
}

function section(title: string, rows: readonly string[]): string[] {
  return rows.length === 0 ? [] : ["", `${title}:`, ...rows];
}

function isRequired(flag: Flag): boolean {
  return flag.type !== "boolean" && flag.required === true;
}

function optionText(name: string, flag: Flag): string {
  return flag.type === "string" ? `--${name} ${flag.valueHint}` : `--${name}`;
}

function describe(name: string, flag: Flag): string {
  const facts: string[] = [];
  if (flag.type === "string" && flag.default !== undefined) facts.push(`default ${flag.default}`);
  if (flag.type === "string" && flag.repeatable === true) facts.push("repeatable");
  const variable = variableOf(name, flag);
  if (variable !== undefined) facts.push(variable);
  return facts.length === 0 ? flag.description : `${flag.description} (${facts.join("; ")})`;
}

/** One entry: what to write on the left, what it means on the right, wrapped below itself. */
function row(left: string, right: string): string {
  const lines: string[] = [];
  for (const word of right.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= LINE_WIDTH - LEFT_WIDTH) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  const indent = " ".repeat(LEFT_WIDTH);
  const head = `  ${left}`;
  const start = head.length + 2 > LEFT_WIDTH ? `${head}\n${indent}` : head.padEnd(LEFT_WIDTH);
  return `${start}${lines.join(`\n${indent}`)}`;
}
