import { readPrivateFile, writeFileAtomic } from "./atomic-file.ts";
import { UsageError } from "./errors.ts";
import { JsonFields, type JsonObject, parseJson } from "./json.ts";

/** The version of every JSON file in a state directory. Raised when an older rvpn could not read a file any more. */
const VERSION = 1;

/** A file of the state directory that is not what we wrote. Nothing is ever written over it. */
export function damagedFile(path: string, problem: string, cause?: unknown): UsageError {
  return new UsageError(
    `${path}: ${problem}`,
    "put back a copy of this file; rvpn does not overwrite a damaged one",
    { cause },
  );
}

/** What `parse` makes of the JSON file `path`, of which every field must be known; undefined if there is none. */
export function readStateFile<T>(path: string, parse: (fields: JsonFields) => T): T | undefined {
  const text = readPrivateFile(path);
  if (text === undefined) return undefined;
  const value = parseJson(text);
  if (value === undefined) throw damagedFile(path, describeBroken(text));
  const fields = new JsonFields(value, (problem, cause) => damagedFile(path, problem, cause));
  // First, because in a file of a later version nothing else need be as we know it.
  const version = fields.integer("version", 1, Number.MAX_SAFE_INTEGER);
  if (version > VERSION) {
    throw new UsageError(
      `${path}: version ${version} was written by a newer rvpn than this one, which knows version ${VERSION}`,
      "use the newer rvpn, or another directory with --state",
    );
  }
  const parsed = parse(fields);
  fields.end();
  return parsed;
}

export function writeStateFile(path: string, object: JsonObject): void {
  writeFileAtomic(path, `${JSON.stringify({ version: VERSION, ...object }, null, 2)}\n`);
}

function describeBroken(text: string): string {
  if (text === "") return "the file is empty";
  // Ours end so; what broke off is more often met than what was changed.
  return text.endsWith("}\n") ? "the file is not JSON" : "the file is cut short or not JSON";
}
