import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { functionsOf, importsOf, type Source, sourceOf, sourcesIn } from "./support/source.ts";

/**
 * The rules of docs/ARCHITECTURE.md and the sizes, so that nobody has to remember them. Each rule is a function from a
 * file to what is wrong with it, and is shown to find a file that breaks it.
 */

const MAX_FILE_LINES = 300;
const MAX_FUNCTION_LINES = 60;

/** Files that are longer than they should be, with the length they may have. It may only shrink; none may be added. */
const LONG_FILES: Readonly<Record<string, number>> = {};
/** Functions that are longer than they should be, by file: how many, and the longest. The same. */
const LONG_FUNCTIONS: Readonly<Record<string, readonly [count: number, longest: number]>> = {};

type Rule = (source: Source) => string[];

const src = sourcesIn("src");

/** Everything that breaks `rule`. */
function broken(rule: Rule, sources: readonly Source[] = src): string[] {
  return sources.flatMap((source) => rule(source).map((problem) => `${source.path}: ${problem}`));
}

/** What `rule` says of a file with this text. */
function of(rule: Rule, path: string, text: string): string[] {
  return rule(sourceOf(path, text));
}

describe("who may import whom", () => {
  const isFront = (name: string) => !name.startsWith("src/proto/") || name === "src/proto/index.ts";
  const outside = (...areas: string[]) => {
    const pattern = new RegExp(`^src/(?:${areas.join("|")})(?:/|\\.ts$)`);
    return (name: string) => !pattern.test(name) && isFront(name);
  };
  const isCrypto = (name: string) => /^(?:@noble\/.*|node:crypto|node:buffer)$/.test(name);
  const isPrimitive = (path: string) => path.startsWith("src/proto/crypto/primitives/");
  const AREAS: readonly [area: string, allowed: (name: string, path: string) => boolean][] = [
    ["src/proto/", (name, path) => name.startsWith("src/proto/") || (isPrimitive(path) && isCrypto(name))],
    ["src/runtime/", outside("client", "server", "cli")],
    ["src/client/", outside("server", "cli")],
    ["src/server/", outside("client", "cli")],
    ["src/cli/", isFront],
  ];
  const rule: Rule = (source) => {
    const area = AREAS.find(([prefix]) => source.path.startsWith(prefix));
    if (area === undefined) return [];
    return importsOf(source).filter((name) => !area[1](name, source.path));
  };

  test.each(AREAS)("%s keeps to its neighbours", (area) => {
    expect(
      broken(
        rule,
        src.filter(({ path }) => path.startsWith(area)),
      ),
    ).toEqual([]);
  });

  const cryptoLibraries: Rule = (source) =>
    isPrimitive(source.path) ? [] : importsOf(source).filter((name) => name.startsWith("@noble/"));
  test("crypto libraries are imported in one folder", () => {
    expect(broken(cryptoLibraries)).toEqual([]);
  });

  const commandLine: Rule = (source) => {
    if (/^src\/cli(?:\.ts$|\/)/.test(source.path)) return [];
    const libraries = importsOf(source).filter((name) => name === "citty" || name === "consola");
    return [...libraries, ...(source.code.match(/\bprocess\s*\.\s*exit\b/g) ?? [])];
  };
  test("citty, consola and process.exit belong to the command line", () => {
    expect(broken(commandLine)).toEqual([]);
  });

  test.each([
    ["src/proto/a.ts", 'import { b } from "../client/b.ts";'],
    ["src/proto/a.ts", 'import { readFileSync } from "node:fs";'],
    ["src/proto/crypto/a.ts", 'import { createHmac } from "node:crypto";'],
    ["src/proto/crypto/primitives/a.ts", 'import { serve } from "bun";'],
    ["src/runtime/a.ts", 'export * from "../server/b.ts";'],
    ["src/runtime/a.ts", 'const b = await import("../client/b.ts");'],
    ["src/client/a.ts", 'import type { B } from "../server/b.ts";'],
    ["src/client/a.ts", 'import {\n  type Frame,\n} from "../proto/frames.ts";'],
    ["src/server/sub/a.ts", 'import "../../client/b.ts";'],
    ["src/server/a.ts", 'import { cli } from "../cli.ts";'],
    ["src/cli/a.ts", 'import { x } from "../proto/tunnel.ts";'],
  ])("this would be found: %s with %s", (path, text) => {
    expect(of(rule, path, text)).toHaveLength(1);
  });

  test("these would be found, and this would not", () => {
    expect(of(cryptoLibraries, "src/server/a.ts", 'import { x } from "@noble/hashes/sha2.js";')).toHaveLength(
      1,
    );
    expect(
      of(commandLine, "src/client/a.ts", 'import consola from "consola";\nprocess.exit(1);'),
    ).toHaveLength(2);
    expect(of(commandLine, "src/client/a.ts", '// process.exit(1)\nconst a = "process.exit";')).toEqual([]);
  });
});

describe("the protocol has no clock, no chance and no sockets", () => {
  const FORBIDDEN =
    /(?<![.\w])(?:Date|setTimeout|setInterval|setImmediate|queueMicrotask|performance|process|Bun|console|fetch|WebSocket)\b|\bMath\s*\.\s*random\b|\bgetRandomValues\b/g;
  const rule: Rule = ({ path, code }) => (path.startsWith("src/proto/") ? (code.match(FORBIDDEN) ?? []) : []);

  test("in src/proto", () => {
    expect(broken(rule)).toEqual([]);
  });

  test("these would be found", () => {
    const text = `Date.now(); new Date(); setTimeout(f, 1); setInterval(f); Math.random(); Bun.sleep(1); process.env;
      performance.now(); console.log(1); \`\${Date.now()}\`;`;
    expect(of(rule, "src/proto/a.ts", text)).toHaveLength(10);
  });

  test("words in comments and strings, and properties of these names, would not", () => {
    const text =
      '// Date\n/* setTimeout */ throw new Error("a process of Bun"); this.process(x.Date); const updated = 1;';
    expect(of(rule, "src/proto/a.ts", text)).toEqual([]);
  });
});

describe("small rooms", () => {
  const lengthOf = ({ text }: Source) => text.trimEnd().split("\n").length;
  const files: Rule = (source) => {
    const allowed = LONG_FILES[source.path] ?? MAX_FILE_LINES;
    return lengthOf(source) > allowed ? [`${lengthOf(source)} lines of ${allowed}`] : [];
  };
  const tooLong = (source: Source) => functionsOf(source).filter(({ lines }) => lines > MAX_FUNCTION_LINES);
  const functions: Rule = (source) => {
    const [count, longest] = LONG_FUNCTIONS[source.path] ?? [0, 0];
    const long = tooLong(source);
    if (long.length <= count && long.every(({ lines }) => lines <= longest)) return [];
    return long.map(({ line, lines }) => `line ${line}, ${lines} lines`);
  };

  test(`no file has more than ${MAX_FILE_LINES} lines`, () => {
    expect(broken(files)).toEqual([]);
  });

  test(`no function has more than ${MAX_FUNCTION_LINES} lines`, () => {
    expect(broken(functions)).toEqual([]);
  });

  test("the exceptions are still needed, at the length that they are allowed", () => {
    const find = (path: string) => src.find((source) => source.path === path) ?? sourceOf(path, "");
    for (const [path, allowed] of Object.entries(LONG_FILES)) {
      expect([path, lengthOf(find(path))]).toEqual([path, allowed]);
      expect(allowed).toBeGreaterThan(MAX_FILE_LINES);
    }
    for (const [path, [count, longest]] of Object.entries(LONG_FUNCTIONS)) {
      const long = tooLong(find(path));
      expect([path, long.length, Math.max(...long.map(({ lines }) => lines))]).toEqual([
        path,
        count,
        longest,
      ]);
    }
  });

  test("functions of every form are measured", () => {
    const body = (lines: number) => "\n  work();".repeat(lines - 2);
    const forms = (lines: number) => [
      `export async function f(a: number): Promise<void> {${body(lines)}\n}`,
      `const f = (a: string): { b: number } => {${body(lines)}\n};`,
      `class A {\n  constructor(private a = "){") {${body(lines)}\n  }\n}`,
      `class A {\n  get x(): { readonly a: string; b(): void } {${body(lines)}\n  }\n}`,
      `class A {\n  static async *#m<T extends { a: 1 }>(x: T): AsyncGenerator<T> {${body(lines)}\n  }\n}`,
      `call(1, async () => {${body(lines)}\n});`,
      `function f(x: unknown): asserts x is Map<string, () => void> {${body(lines)}\n}`,
    ];
    for (const text of forms(61))
      expect([text.slice(0, 60), of(functions, "src/a.ts", text).length]).toEqual([text.slice(0, 60), 1]);
    for (const text of forms(60)) expect(of(functions, "src/a.ts", text)).toEqual([]);
  });

  test("what is no function is not measured", () => {
    const body = "\n  work();".repeat(100);
    for (const text of [
      `class A extends B {${body}\n}`,
      `const a = {${body}\n};`,
      `interface A {${body}\n}`,
      `if (a(b)) {${body}\n}`,
      `for await (const a of b()) {${body}\n}`,
      `try {${body}\n} catch (error) {${body}\n}`,
    ])
      expect([text.slice(0, 20), functionsOf(sourceOf("a.ts", text))]).toEqual([text.slice(0, 20), []]);
  });

  test("a file that is too long would be found", () => {
    expect(of(files, "src/a.ts", "a();\n".repeat(301))).toHaveLength(1);
    expect(of(files, "src/a.ts", "a();\n".repeat(300))).toEqual([]);
  });
});

describe("nothing is left open", () => {
  const marks: Rule = ({ text }) =>
    text.match(/\b(?:TODO|FIXME|XXX)\b|@ts-(?:ignore|expect-error|nocheck)/g) ?? [];
  test("no TODO, no suppressed type error", () => {
    expect(broken(marks)).toEqual([]);
    expect(of(marks, "a.ts", "// TODO: later\n/* FIXME */\n// @ts-ignore")).toHaveLength(3);
  });

  const anys: Rule = ({ code }) => code.match(/(?<![.\w])any\b(?!\s*[(:=])/g) ?? [];
  test("no any", () => {
    expect(broken(anys)).toEqual([]);
    expect(of(anys, "a.ts", "let a: any; b as any; c<any>(); d: any[];")).toHaveLength(4);
    expect(of(anys, "a.ts", '// any\nPromise.any(x); const s = "any";')).toEqual([]);
  });

  /** Lines above an assertion that its reason may stand in. */
  const BESIDE = 3;
  const assertions: Rule = ({ text, code }) => {
    const [full, bare] = [text.split("\n"), withoutImports(code).split("\n")];
    const hasComment = (line: number) =>
      (full[line] ?? "").replace(/["'`].*["'`]/, "").match(/\/\/|\*\/|^\s*\*/) !== null;
    return bare.flatMap((line, index) => {
      if (!/[\w)\]}">!]\s+as\s+(?!const\b)/.test(line)) return [];
      const reasons = Array.from({ length: BESIDE + 1 }, (_, above) => index - above);
      return reasons.some(hasComment) ? [] : [`${index + 1} ${(full[index] ?? "").trim()}`];
    });
  };
  // `as` in an import or export renames.
  const withoutImports = (code: string) =>
    code.replace(/\b(?:import|export)\b\s*(?:type\s*)?[{*][^;]*/g, (part) => part.replace(/[^\n]/g, " "));
  test("an assertion of a type says why", () => {
    expect(broken(assertions)).toEqual([]);
    expect(of(assertions, "a.ts", "const a = b as string;")).toHaveLength(1);
    expect(of(assertions, "a.ts", "const a = (await b()) as unknown;")).toHaveLength(1);
    expect(of(assertions, "a.ts", "\n\n\n\nconst a = {\n  b: 1,\n} as B;")).toHaveLength(1);
    expect(of(assertions, "a.ts", "const a = b as string; // It was checked above.")).toEqual([]);
    expect(of(assertions, "a.ts", "const a = b as const;")).toEqual([]);
    expect(
      of(assertions, "a.ts", 'import * as b from "b";\nimport { c as d } from "c";\nexport { e as f };'),
    ).toEqual([]);
    expect(of(assertions, "a.ts", '"as good as sent";')).toEqual([]);
  });

  test("the lock file names no host", () => {
    expect(readFileSync(join(import.meta.dir, "../bun.lock"), "utf8")).not.toMatch(/https?:/);
  });
});

test("comments and literals are told from code", () => {
  const text = [
    "const a = \"// no comment\"; // a comment with 'quotes'",
    'const b = /\\/\\*[/*]"/.test(c) ? d / e : f / g; /* two',
    `lines */ const h = \`text \${i({ j: \`inner \${k} end\` })} // text\`; l();`,
  ].join("\n");
  const { code, statements } = sourceOf("a.ts", text);
  expect(code.split("\n").map((line) => line.trimEnd())).toEqual([
    'const a = "             ";',
    'const b = "         ".test(c) ? d / e : f / g;',
    '         const h = "      "i({ j: "       "k"    " })"        "; l();',
  ]);
  expect(statements.split("\n")[0]?.trimEnd()).toBe('const a = "// no comment";');
  expect(code.length).toBe(text.length);
});
