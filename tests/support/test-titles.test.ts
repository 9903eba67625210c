import { expect, test } from "bun:test";
import { sourceOf } from "./source.ts";
import { testTitlesOf } from "./test-titles.ts";

const titles = (text: string) => testTitlesOf(sourceOf("tests/a.test.ts", text));

test.each<[string, string[]]>([
  ['test("a (b", () => { expect("c").toBe("d"); });', ["a (b"]],
  [`describe("a", () => { test("b", run); it(\`c \${d} e\`, run, "f"); });`, ["a", "b", `c \${d} e`]],
  ['test.skipIf(platform() !== "linux")(\n  "a",\n  run);', ["a"]],
  ['describeWith(programs(["b", "c"], "d"), "a", () => {});', ["a"]],
  ['test.each(["b", "c"])("a %s", run);', ["a %s"]],
  ['test.each([["b", 1, "c"], ["d", x("e"), ["f"]]])("%s", run);', ["%s", "b", "c", "d"]],
  ['test.each<[string, (a: B<C>) => D]>([["b", (a) => "c"]])("%s", run);', ["%s", "b"]],
  ['const CASES: [string, (a: string) => void][] = [["b", f]];\ntest.each(CASES)("%s", run);', ["%s", "b"]],
  ['test.each([["b"]])("a", run);', ["a"]],
  ['// test("a")\nconst b = "test(c)"; attest("d"); test(e);', []],
])("the titles of %s", (text, expected) => {
  expect(titles(text)).toEqual(expected);
});
