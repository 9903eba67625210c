import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What docs/THREAT-MODEL.md says is shown by a test, or done by a file, must be there. */
const ROOT = join(import.meta.dir, "../..");
const DOCUMENT = readFileSync(join(ROOT, "docs/THREAT-MODEL.md"), "utf8");

/** The weak points of the reference: the document answers each of them. */
const WEAK_POINTS = 20;

interface Named {
  readonly file: string;
  readonly title: string;
}

/** Every [`tests/….test.ts`](../tests/….test.ts) "title". */
function testsNamedIn(text: string): Named[] {
  const found = text.matchAll(/\[`(tests\/[^`]+\.test\.ts)`\]\(\.\.\/\1\) "([^"]+)"/g);
  return [...found].map(([, file = "", title = ""]) => ({ file, title }));
}

/** Why a test is not there, if so. A title may be the part of one that no size and no name is put into. */
function problemOf({ file, title }: Named): string | undefined {
  const path = join(ROOT, file);
  if (!existsSync(path)) return `${file} is missing`;
  const quoted = readFileSync(path, "utf8").match(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g) ?? [];
  return quoted.some((literal) => literal.includes(title)) ? undefined : `${file} has no "${title}"`;
}

const weaknesses = (DOCUMENT.split("\n| weak point |")[1] ?? "")
  .split("\n\n")[0]
  ?.split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| weak point"))
  .map((line) => [line.split("|")[1]?.trim() ?? "", line] as const);

test("every test that is named exists", () => {
  const named = testsNamedIn(DOCUMENT);
  expect(named.length).toBeGreaterThan(80);
  expect(named.map(problemOf).filter((problem) => problem !== undefined)).toEqual([]);
});

test("no test is named in a form that is not looked at", () => {
  const mentions = DOCUMENT.match(/`tests\/[^`]+\.test\.ts`/g) ?? [];
  // The test of this very document is named without a title.
  expect(mentions.length).toBe(testsNamedIn(DOCUMENT).length + 1);
});

test("one that does not exist would be found", () => {
  const path = "tests/docs/threat-model.test.ts";
  const [named] = testsNamedIn(`see [\`${path}\`](../${path}) "one that does not exist would be found"`);
  expect(named && problemOf(named)).toBeUndefined();
  expect(problemOf({ file: path, title: "x".repeat(9) })).toContain("has no");
  expect(problemOf({ file: "tests/nothing.test.ts", title: "x" })).toContain("is missing");
});

test("every file of the source that is named exists", () => {
  const links = DOCUMENT.matchAll(/\]\(\.\.\/((?:src|scripts)\/[^)]+)\)/g);
  const files = [...links].map(([, file = ""]) => file);
  expect(files.length).toBeGreaterThan(40);
  expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

test("every model that is named exists", () => {
  const lists = [...DOCUMENT.matchAll(/\bmodels? ((?:`[\w-]+`(?:, )?)+)/g)].map(([, list = ""]) => list);
  const models = lists.flatMap((list) => list.match(/[\w-]+/g) ?? []);
  expect(models.length).toBeGreaterThan(8);
  expect(models.filter((model) => !existsSync(join(ROOT, `docs/formal/${model}.vp`)))).toEqual([]);
});

describe("each weak point of the reference has a test:", () => {
  test("all of them", () => {
    expect(weaknesses).toHaveLength(WEAK_POINTS);
  });

  test.each(weaknesses ?? [])("%s", (_, line) => {
    expect(testsNamedIn(line).length).toBeGreaterThan(0);
  });
});
