import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The checker itself runs by scripts/formal.sh. Here its files are held to each other, so that none goes stale. */
const DIRECTORY = join(import.meta.dir, "../../docs/formal");
const read = (name: string) => readFileSync(join(DIRECTORY, name), "utf8");

const models = readdirSync(DIRECTORY)
  .filter((name) => name.endsWith(".vp"))
  .map((name) => name.slice(0, -".vp".length))
  .sort();
const expected = read("expected.txt")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => line.split(" "));

test("every model has an expected result, and every result a model", () => {
  expect(models.length).toBeGreaterThan(10);
  expect(expected.map(([model = ""]) => model).sort()).toEqual(models);
});

test.each(expected)("%s: one result per query", (model = "", _sessions = "", code = "") => {
  const [, queries = ""] = read(`${model}.vp`).split("queries[");
  const kinds = [...queries.matchAll(/^\t(confidentiality|authentication|equivalence|unlinkability)\?/gm)];
  const letters = kinds.map(([, kind = ""]) => kind.slice(0, 1));
  expect(code.replaceAll(/\d/g, "")).toBe(letters.join(""));
  expect(code).toMatch(/^(?:[aceu][01])+$/);
});

test.each(expected)(
  "%s: what was recorded is of this model, and as expected",
  (model = "", sessions = "", code = "") => {
    const lines = read(`results/${model}.txt`).trimEnd().split("\n");
    const digest = new Bun.CryptoHasher("sha256")
      .update(read(`${model}.vp`))
      .digest("hex")
      .slice(0, 16);
    expect(lines[0]).toMatch(new RegExp(`^verifpal [\\d.]+, model ${digest}, ${sessions} sessions, \\d+ s$`));
    expect(lines.at(-1)).toBe(code);
  },
);

test.each(models.filter((name) => name.startsWith("broken-")))("%s is found to be broken", (model) => {
  const [, , code = ""] = expected.find(([name]) => name === model) ?? [];
  expect(code).toContain("1");
});

test.each(models)("%s is told of in the README", (model) => {
  expect(read("README.md")).toMatch(new RegExp(`^\\| \`${model}\` \\|`, "m"));
});

/** Lines that say what a model asks and assumes, not what the protocol is. */
const SETTING =
  /^(?:\/\/.*|attacker\[.*|phase\[.*|principal \w+\[leaks .*|queries\[|\t?(?:confidentiality|authentication|equivalence)\?.*|\t\tprecondition\[.*|\t?\]|)$/;

test.each(
  models.filter((name) =>
    /^(?:transcript|ratchet-key|forward-secrecy|quantum|kem-broken|kci-|identity-)/.test(name),
  ),
)("%s is the handshake of agreement.vp, line by line", (model) => {
  const protocol = new Set(read("agreement.vp").split("\n"));
  const lines = read(`${model}.vp`)
    .replaceAll(/\[weak[^\]]*\]/g, "")
    .split("\n");
  expect(lines.filter((line) => !protocol.has(line) && !SETTING.test(line))).toEqual([]);
  expect(lines.length).toBeGreaterThan(60);
});
