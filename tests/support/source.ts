import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

/** One TypeScript file, and what rules look at. All texts have the same lines at the same places. */
export interface Source {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
  /** Without comments. */
  readonly statements: string;
  /** Without comments and without what is inside of strings, templates and regular expressions. */
  readonly code: string;
}

/** A function body: where it begins, and its lines from there to the closing brace. */
export interface FunctionSpan {
  readonly line: number;
  readonly lines: number;
}

/** Every .ts file of a directory. */
export function sourcesIn(directory: string): Source[] {
  return readdirSync(join(ROOT, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => sourceOf(relative(ROOT, path), readFileSync(path, "utf8")))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function sourceOf(path: string, text: string): Source {
  return { path, text, ...withoutComments(text) };
}

/** Import specifiers of every form; relative ones as paths from the root. */
export function importsOf({ path, statements }: Source): string[] {
  const found = statements.matchAll(
    /\b(?:import|export)\b[^;'"]*?\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g,
  );
  return [...found].map(([, named, bare]) => {
    const specifier = named ?? bare ?? "";
    return specifier.startsWith(".") ? join(dirname(path), specifier) : specifier;
  });
}

type Piece = "code" | "line" | "block" | "string" | "template" | "regex";

// A regular expression may stand where a value may begin; else "/" divides.
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of))\s*$/;

/** The text twice, with spaces instead of comments, and instead of comments and the insides of literals. */
function withoutComments(text: string): { statements: string; code: string } {
  let statements = "";
  let code = "";
  // Braces of `${` in templates that are open: at their end the template goes on.
  const templates: number[] = [];
  let depth = 0;
  for (let at = 0; at < text.length; ) {
    const { piece, length } = pieceAt(text, at, code, templates.at(-1) === depth);
    const part = text.slice(at, at + length);
    const blank = part.replace(/[^\n]/g, " ");
    if (piece === "code") {
      if (part === "{") depth += 1;
      if (part === "}") depth -= 1;
    }
    if (piece === "template") {
      if (part.startsWith("}")) templates.pop();
      if (part.endsWith("${")) templates.push(depth);
    }
    statements += piece === "line" || piece === "block" ? blank : part;
    const inner = part.slice(1, -1).replace(/[^\n]/g, " ");
    code +=
      piece === "code" ? part : piece === "line" || piece === "block" ? blank : `"${inner}"`.slice(0, length);
    at += length;
  }
  return { statements, code };
}

function pieceAt(
  text: string,
  at: number,
  before: string,
  resumes: boolean,
): { piece: Piece; length: number } {
  const rest = text.slice(at);
  const match = (pattern: RegExp) => pattern.exec(rest)?.[0].length;
  const line = match(/^\/\/[^\n]*/);
  if (line !== undefined) return { piece: "line", length: line };
  const block = match(/^\/\*[\s\S]*?\*\//);
  if (block !== undefined) return { piece: "block", length: block };
  const string = match(/^"(?:\\.|[^"\\\n])*"|^'(?:\\.|[^'\\\n])*'/);
  if (string !== undefined) return { piece: "string", length: string };
  const template = match(
    resumes ? /^[`}](?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/ : /^`(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/,
  );
  if (template !== undefined) return { piece: "template", length: template };
  const regex = match(/^\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/);
  if (regex !== undefined && BEFORE_REGEX.test(before.slice(-40))) return { piece: "regex", length: regex };
  // Words and spaces in one go; everything else one by one.
  return { piece: "code", length: match(/^[\w$\s]+/) ?? 1 };
}

/** The bodies of functions, methods, constructors, accessors and arrow functions. */
export function functionsOf({ code }: Source): FunctionSpan[] {
  const spans: FunctionSpan[] = [];
  for (let at = code.indexOf("{"); at >= 0; at = code.indexOf("{", at + 1)) {
    const start = startOfFunction(code, at);
    if (start === undefined) continue;
    const [first, last] = [lineOf(code, start), lineOf(code, closingOf(code, at))];
    spans.push({ line: first, lines: last - first + 1 });
  }
  return spans;
}

function lineOf(code: string, at: number): number {
  return code.slice(0, at).split("\n").length;
}

function closingOf(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    if (code[at] === "{") depth += 1;
    else if (code[at] === "}" && --depth === 0) return at;
  }
  return code.length;
}

const CONTROL = /\b(?:if|for|while|switch|catch|with|await)\s*$/;

/** Where the parameters of the function begin whose body opens at `brace`; undefined where none does. */
function startOfFunction(code: string, brace: number): number | undefined {
  const before = code.slice(0, brace).trimEnd();
  if (before.endsWith("=>")) return before.length - 2;
  const close = before.endsWith(")") ? before.length - 1 : endOfParameters(before);
  if (close === undefined) return undefined;
  const open = openingOf(before, close);
  return CONTROL.test(before.slice(0, open)) ? undefined : open;
}

function openingOf(code: string, close: number): number {
  let depth = 0;
  for (let at = close; at >= 0; at--) {
    if (code[at] === ")") depth += 1;
    else if (code[at] === "(" && --depth === 0) return at;
  }
  return 0;
}

// What may stand between the end of one function and the brace of something else, but never in a return type.
const NO_TYPE = /\b(?:class|interface|enum|function|const|let|return|export|new)\b/;

/** The ")" in front of a return type that `before` ends with. */
function endOfParameters(before: string): number | undefined {
  let depth = 0;
  for (let at = before.length - 1; at >= 0; at--) {
    const character = before[at] ?? "";
    if (/[}\])>]/.test(character) && before[at - 1] !== "=") {
      if (character === ")" && depth === 0) return isReturnType(before.slice(at + 1)) ? at : undefined;
      depth += 1;
    } else if (/[{[(<]/.test(character)) {
      if (depth === 0) return undefined;
      depth -= 1;
    } else if (depth === 0 && (character === ";" || character === ",")) return undefined;
  }
  return undefined;
}

function isReturnType(text: string): boolean {
  return /^\s*:\s*\S/.test(text) && !NO_TYPE.test(text);
}
