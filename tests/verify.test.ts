import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { ITEMS } from "../scripts/verify-items.ts";

/** The items of `bun run verify` name test files: none may be forgotten, and none may select nothing. */

const ROOT = resolve(import.meta.dir, "..");
const selected = ITEMS.flatMap(({ command }) => command).filter((argument) =>
  argument.startsWith("./tests/"),
);

test("every file that an item names exists", () => {
  expect(selected.filter((path) => !existsSync(resolve(ROOT, path)))).toEqual([]);
});

test.each([
  ["tests/e2e", /\.test\.ts$/],
  ["tests/proto", /^vectors.*\.test\.ts$/],
  ["tests/proto", /fuzz\.test\.ts$/],
  ["tests/client/proxy", /fuzz\.test\.ts$/],
  ["tests/proto/crypto", /^ratchet.*\.test\.ts$/],
])("every file of %s that matches %p belongs to an item", (directory, pattern) => {
  const files = readdirSync(resolve(ROOT, directory)).filter((name) => pattern.test(name));
  expect(files).not.toEqual([]);
  expect(files.filter((name) => !selected.includes(`./${directory}/${name}`))).toEqual([]);
});

/** How many points each issue promises. */
const POINTS: Readonly<Record<string, number>> = { 2: 8, 3: 6, 4: 11, 5: 7 };

test("names are unique", () => {
  const names = ITEMS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test.each(Object.entries(POINTS))("every promise of issue %s has an item", (issue, count) => {
  const shown = new Set(ITEMS.flatMap(({ of }) => of.split(", ")));
  const promised = Array.from({ length: count }, (_, index) => `${issue}.${index + 1}`);
  expect(promised.filter((point) => !shown.has(point))).toEqual([]);
});

test("no item is for a promise that nobody has made", () => {
  const isPromised = (point: string) => {
    const [, issue = "", number] = /^(\d)\.([1-9]\d?)$/.exec(point) ?? [];
    return Number(number) <= (POINTS[issue] ?? 0);
  };
  const points = ITEMS.flatMap(({ of }) => of.split(", "));
  expect(points.filter((point) => !isPromised(point))).toEqual([]);
});

test("full sizes are asked for", () => {
  for (const { name, command, env } of ITEMS) {
    const endToEnd = command.some((argument) => argument.startsWith("./tests/e2e/"));
    expect([name, env?.["RVPN_FULL"]]).toEqual([name, endToEnd ? "1" : undefined]);
  }
  const environment = Object.assign({}, ...ITEMS.map(({ env }) => env));
  expect(environment).toMatchObject({ FUZZ_ITERATIONS: "1000000", HANDSHAKE_FUZZ_ITERATIONS: "100000" });
});
