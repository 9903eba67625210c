import type { Source } from "./source.ts";

const WORD = /\b(?:test|it|describe|describeWith)\b/g;
const LITERAL = /^"((?:[^"\\\n]|\\.)*)"|^`((?:[^`\\]|\\.)*)`/;
const PLACE = /%[spdio]/;

/**
 * The titles of all tests and groups of a file, as they are written there; of `each(TABLE)("%s")` also the texts of the
 * table's rows, which stand in the title's places. Any other string of the file is none of them.
 */
export function testTitlesOf({ text, code }: Source): string[] {
  return [...code.matchAll(WORD)].flatMap(({ index, 0: word }) => {
    const { open, table } = callAt(code, index + word.length);
    if (open === undefined) return [];
    // The programs that a test needs stand before its title.
    const at = word === "describeWith" ? secondArgument(code, open) : open + 1;
    const title = literalAt(text, at);
    if (title === undefined) return [];
    return table !== undefined && PLACE.test(title) ? [title, ...textsOfRows(text, code, table)] : [title];
  });
}

interface Call {
  /** Its opening bracket. */
  readonly open?: number;
  /** Where the rows begin, if it has some. */
  readonly table?: number | undefined;
}

/** The call that has the title: behind `.each(…)`, `.skipIf(…)` and the like, and their types. */
function callAt(code: string, from: number): Call {
  const modifier = /^(?:\.\w+)*/.exec(code.slice(from))?.[0] ?? "";
  let at = from + modifier.length;
  if (code[at] === "<") at = closingOf(code, at) + 1;
  if (code[at] !== "(") return {};
  const next = closingOf(code, at) + 1;
  if (code[next] !== "(") return { open: at };
  return { open: next, table: modifier.endsWith(".each") ? tableAt(code, at + 1) : undefined };
}

/** A list of rows stands there, or its name. */
function tableAt(code: string, at: number): number | undefined {
  const argument = code.slice(at).trimStart();
  if (argument.startsWith("[")) return code.indexOf("[", at);
  const [name] = /^\w+/.exec(argument) ?? [];
  const definition = new RegExp(`\\bconst ${name}\\b[^]*?[^=]=\\s*(?=\\[)`).exec(code);
  return definition === null ? undefined : definition.index + definition[0].length;
}

function textsOfRows(text: string, code: string, table: number): string[] {
  const texts: string[] = [];
  const end = closingOf(code, table);
  for (let at = table + 1; at < end; at++) {
    if (code[at] !== "[") continue;
    const rowEnd = closingOf(code, at);
    for (const start of elementsOf(code, at, rowEnd)) texts.push(literalAt(text, start) ?? "");
    at = rowEnd;
  }
  return texts.filter((each) => each !== "");
}

/** Where the elements begin of what opens at `open`. */
function elementsOf(code: string, open: number, end: number): number[] {
  const starts = [open + 1];
  for (let at = open + 1; at < end; at++) {
    if (/[([{]/.test(code[at] ?? "")) at = closingOf(code, at);
    else if (code[at] === ",") starts.push(at + 1);
  }
  return starts;
}

function secondArgument(code: string, open: number): number {
  return elementsOf(code, open, closingOf(code, open))[1] ?? code.length;
}

function literalAt(text: string, at: number): string | undefined {
  const [, plain, template] = LITERAL.exec(text.slice(at).trimStart()) ?? [];
  return plain ?? template;
}

/** The end of what opens at `open`; only types have pointed brackets, and an arrow is none. */
function closingOf(code: string, open: number): number {
  const [opening, closing] = code[open] === "<" ? [/[<([{]/, /[>)\]}]/] : [/[([{]/, /[)\]}]/];
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    const character = code[at] ?? "";
    if (opening.test(character)) depth += 1;
    else if (closing.test(character) && !(character === ">" && code[at - 1] === "=")) depth -= 1;
    if (depth === 0) return at;
  }
  return code.length;
}
