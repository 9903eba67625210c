import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonFields } from "../../src/runtime/json.ts";
import { readStateFile, writeStateFile } from "../../src/runtime/state-file.ts";
import { usageErrorOf, useScratch } from "./state-support.ts";

const scratch = useScratch();

function fileOf(text: string): string {
  const path = join(scratch(), "pets.json");
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

interface Pet {
  readonly name: string;
  readonly legs: number;
  readonly tame: boolean;
}

function readPets(path: string): Pet[] | undefined {
  return readStateFile(path, (fields) => fields.list("pets", readPet));
}

function readPet(fields: JsonFields): Pet {
  return {
    name: fields.parsed("name", "a name", (text) => (text.startsWith("x") ? undefined : text)),
    legs: fields.integer("legs", 0, 8),
    tame: fields.has("tame") ? fields.boolean("tame") : true,
  };
}

test("what was written is read, with the version in the file", () => {
  const path = join(scratch(), "pets.json");
  const pets = [{ name: "Rex", legs: 4, tame: false }];
  writeStateFile(path, { pets, nothing: undefined });
  expect(readPets(path)).toEqual(pets);
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ version: 1, pets });
});

test("no file is undefined", () => {
  expect(readPets(join(scratch(), "pets.json"))).toBeUndefined();
});

test.each([
  ["", "the file is empty"],
  ["{", "the file is cut short or not JSON"],
  ['{"version":1,"pets":[]', "the file is cut short or not JSON"],
  ["{{}\n", "the file is not JSON"],
  ["\0\0\0\0", "the file is cut short or not JSON"],
  ["[]", "the whole must be an object, not a list"],
  ["null", "the whole must be an object, not null"],
  ["{}", "version is missing"],
  ['{"version":"1"}', "version must be a whole number from 1 to 9007199254740991, not another string"],
  ['{"version":0}', "version must be a whole number from 1 to 9007199254740991, not 0"],
  ['{"version":1}', "pets is missing"],
  ['{"version":1,"pets":{}}', "pets must be a list, not an object"],
  ['{"version":1,"pets":[7]}', "pets[0] must be an object, not 7"],
  ['{"version":1,"pets":[{"name":"a","legs":4},{"legs":4}]}', "pets[1].name is missing"],
  ['{"version":1,"pets":[{"name":null,"legs":4}]}', "pets[0].name must be a string, not null"],
  ['{"version":1,"pets":[{"name":"x","legs":4}]}', "pets[0].name is not a name"],
  [
    '{"version":1,"pets":[{"name":"a","legs":4.5}]}',
    "pets[0].legs must be a whole number from 0 to 8, not 4.5",
  ],
  ['{"version":1,"pets":[{"name":"a","legs":9}]}', "pets[0].legs must be a whole number from 0 to 8, not 9"],
  ['{"version":1,"pets":[{"name":"a","legs":4,"tame":1}]}', "pets[0].tame must be true or false, not 1"],
  ['{"version":1,"pets":[{"name":"a","legs":4,"wings":2}]}', "pets[0].wings is not a field known here"],
  ['{"version":1,"pets":[],"plants":[]}', "plants is not a field known here"],
  ['{"version":1,"__proto__":{"pets":[]}}', "pets is missing"],
])("%p is refused: %s", (text, problem) => {
  const path = fileOf(text);
  const error = usageErrorOf(() => readPets(path));
  expect(error.message).toBe(`${path}: ${problem}`);
  expect(error.exitCode).toBe(2);
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("every beginning of a good file is refused", () => {
  const path = join(scratch(), "pets.json");
  writeStateFile(path, { pets: [{ name: "Rex", legs: 4 }] });
  const whole = readFileSync(path, "utf8");
  // But for the last line feed, which no reader needs.
  for (let length = 0; length < whole.length - 1; length++) {
    writeFileSync(path, whole.slice(0, length));
    expect(usageErrorOf(() => readPets(path)).message).toStartWith(`${path}: `);
  }
});

test("a file of a newer version is refused, whatever else is in it", () => {
  const path = fileOf('{"version":2,"animals":[]}');
  const error = usageErrorOf(() => readPets(path));
  expect(error.message).toContain("version 2 was written by a newer rvpn");
  expect(error.hint).toContain("newer rvpn");
});
