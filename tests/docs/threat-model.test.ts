import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceOf } from "../support/source.ts";
import { testTitlesOf } from "../support/test-titles.ts";

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

/** What stands between the sizes and names that are put into a title. */
function piecesOf(title: string): string[] {
  return title.split(/\$\{[^}]*\}|%\w/).map((piece) => piece.replace(/^[\s,:]+|[\s,:]+$/g, ""));
}

const titlesByFile = new Map<string, readonly string[]>();

function titlesIn(file: string): readonly string[] {
  const titles =
    titlesByFile.get(file) ?? testTitlesOf(sourceOf(file, readFileSync(join(ROOT, file), "utf8")));
  titlesByFile.set(file, titles);
  return titles;
}

/** Why a test is not there, if so. A title may be named by a whole piece of it. */
function problemOf({ file, title }: Named): string | undefined {
  if (!existsSync(join(ROOT, file))) return `${file} is missing`;
  const isNamed = titlesIn(file).some((each) => each === title || piecesOf(each).includes(title));
  return isNamed ? undefined : `${file} has no test "${title}"`;
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
  // Strings of the file, and the part of a title: none of them is a test.
  for (const title of ["docs/THREAT-MODEL.md", "bun:test", "exist would be found"]) {
    expect(problemOf({ file: path, title })).toContain("has no");
  }
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
