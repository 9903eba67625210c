import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** The rules of docs/ARCHITECTURE.md and the sizes, so that nobody has to remember them. */

const ROOT = resolve(import.meta.dir, "..");
const MAX_FILE_LINES = 300;
const MAX_FUNCTION_LINES = 60;

interface Source {
  readonly path: string;
  readonly text: string;
}

function sources(directory: string): Source[] {
  return readdirSync(join(ROOT, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(ROOT, path), text: readFileSync(path, "utf8") }));
}

/** Import specifiers as the file has them; relative ones as paths from the root. */
function imports({ path, text }: Source): string[] {
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;'"]*?from\s*["']([^"']+)["']|import\(\s*["']([^"']+)["']/g,
  );
  return [...found].map(([, fixed, lazy]) => {
    const specifier = fixed ?? lazy ?? "";
    return specifier.startsWith(".") ? join(dirname(path), specifier) : specifier;
  });
}

/** The text without comments, strings kept. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/.*$/gm, "$1");
}

const src = sources("src");

describe("who may import whom", () => {
  const rules: readonly [area: string, allowed: (specifier: string, path: string) => boolean][] = [
    ["src/proto/", (name, path) => name.startsWith("src/proto/") || isPrimitive(path)],
    ["src/runtime/", (name) => !/^src\/(client|server|cli)(\/|\.)/.test(name) && isFront(name)],
    ["src/client/", (name) => !/^src\/(server|cli)(\/|\.)/.test(name) && isFront(name)],
    ["src/server/", (name) => !/^src\/(client|cli)(\/|\.)/.test(name) && isFront(name)],
  ];
  const isFront = (name: string) => !name.startsWith("src/proto/") || name === "src/proto/index.ts";
  const isPrimitive = (path: string) => path.startsWith("src/proto/crypto/primitives/");

  for (const [area, allowed] of rules) {
    test(`${area} keeps to its neighbours`, () => {
      const broken = src
        .filter(({ path }) => path.startsWith(area))
        .flatMap((source) => imports(source).map((name) => [source.path, name] as const))
        .filter(([path, name]) => !allowed(name, path));
      expect(broken).toEqual([]);
    });
  }

  test("crypto libraries are imported in one folder", () => {
    const outside = src.filter(({ path }) => !isPrimitive(path));
    expect(outside.filter((source) => imports(source).some((name) => name.startsWith("@noble/")))).toEqual(
      [],
    );
  });

  test("citty, consola and process.exit belong to the command line", () => {
    const outside = src.filter(({ path }) => !/^src\/cli(\.ts|\/)/.test(path));
    const broken = outside.filter(
      (source) =>
        imports(source).some((name) => name === "citty" || name === "consola") ||
        /process\.exit\b/.test(code(source.text)),
    );
    expect(broken.map(({ path }) => path)).toEqual([]);
  });
});

describe("the protocol has no clock, no chance and no sockets", () => {
  const forbidden =
    /\b(Date|setTimeout|setInterval|setImmediate|queueMicrotask|performance|process|Bun|console)\b|Math\.random/;
  test("in src/proto", () => {
    const broken = src
      .filter(({ path }) => path.startsWith("src/proto/"))
      .flatMap(({ path, text }) =>
        code(text)
          .split("\n")
          .filter((line) => forbidden.test(line.replace(/"[^"]*"|`[^`]*`/g, "")))
          .map((line) => `${path}: ${line.trim()}`),
      );
    expect(broken).toEqual([]);
  });
});

describe("small rooms", () => {
  test(`no file has more than ${MAX_FILE_LINES} lines`, () => {
    const long = src.filter(({ text }) => text.split("\n").length > MAX_FILE_LINES + 1);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  test(`no function has more than ${MAX_FUNCTION_LINES} lines`, () => {
    expect(src.flatMap(longFunctions)).toEqual([]);
  });

  // The formatter puts the closing brace of what starts at one indentation at the same one.
  function longFunctions({ path, text }: Source): string[] {
    const lines = text.split("\n");
    return lines.flatMap((line, start) => {
      const opening =
        /^(\s*)(?!(?:export )?(?:abstract )?(?:class|interface|type|describe|const enum)\b).*(?:\)|=>)(?:: [^=]*)? \{$/.exec(
          line,
        );
      if (opening === null) return [];
      const closing = new RegExp(`^${opening[1]}\\}`);
      const length = lines.slice(start + 1).findIndex((later) => closing.test(later)) + 2;
      return length > MAX_FUNCTION_LINES ? [`${path}:${start + 1} (${length} lines)`] : [];
    });
  }
});

describe("nothing is left open", () => {
  test("no TODO, no suppressed type error, no any", () => {
    const marks = /\bTODO\b|\bFIXME\b|\bXXX\b|@ts-ignore|@ts-expect-error|\bas any\b|: any\b/;
    expect(src.filter(({ text }) => marks.test(code(text))).map(({ path }) => path)).toEqual([]);
  });

  test("an assertion of a type says why", () => {
    const unexplained = src.flatMap(({ path, text }) => {
      const lines = text.split("\n");
      return lines.flatMap((line, index) => {
        if (
          !/[\w)\]}] as (?!const\b)(?:[A-Z]\w*|string|number|unknown|never|\{)/.test(line) ||
          /^\s*(import|export|\*|\/\/|\/\*)|\bas [\w]+[,}]/.test(line)
        )
          return [];
        const near = `${lines[index - 3]}\n${lines[index - 2]}\n${lines[index - 1]}\n${line}`;
        return /\/\/|\*\/|\/\*\*/.test(near) || /["'`].*\bas\b.*["'`]/.test(line)
          ? []
          : [`${path}:${index + 1} ${line.trim()}`];
      });
    });
    expect(unexplained).toEqual([]);
  });

  test("the lock file names no host", () => {
    expect(readFileSync(join(ROOT, "bun.lock"), "utf8")).not.toMatch(/https?:/);
  });
});
