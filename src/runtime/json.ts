/** What JSON can say. Fields that are undefined are left out when it is written. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json | undefined };

/** The value of a JSON text, or undefined if `text` is not JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    // JSON.parse is typed as any, and makes nothing else than this.
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Makes the error for a problem that `JsonFields` found: it knows whose JSON it is. */
export type JsonProblem = (problem: string, cause?: unknown) => Error;

/**
 * Reads the fields of one JSON object into typed values. Every problem names the field with its whole path
 * (`clients[3].name`), and `end` refuses fields that nobody asked for: rewriting the object would lose them.
 */
export class JsonFields {
  readonly #object: JsonObject;
  readonly #path: string;
  readonly #problem: JsonProblem;
  readonly #unread: Set<string>;

  /** `path` is what stands before the name of each field, `""` for the outermost object. */
  constructor(value: Json | undefined, problem: JsonProblem, path = "") {
    if (!isJsonObject(value)) {
      const what = path === "" ? "the whole" : path.slice(0, -1);
      throw problem(`${what} must be an object, not ${kindOf(value)}`);
    }
    this.#object = value;
    this.#path = path;
    this.#problem = problem;
    this.#unread = new Set(Object.keys(value).filter((key) => value[key] !== undefined));
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#object, key) && this.#object[key] !== undefined;
  }

  string(key: string): string {
    const value = this.#take(key);
    return typeof value === "string" ? value : this.#refuse(key, "a string", value);
  }

  boolean(key: string): boolean {
    const value = this.#take(key);
    return typeof value === "boolean" ? value : this.#refuse(key, "true or false", value);
  }

  integer(key: string, min: number, max: number): number {
    const value = this.#take(key);
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max)
      return value;
    const wanted = `a whole number from ${min} to ${max}`;
    return this.#refuse(key, wanted, value);
  }

  number(key: string): number {
    const value = this.#take(key);
    return typeof value === "number" ? value : this.#refuse(key, "a number", value);
  }

  oneOf<T extends string>(key: string, choices: readonly T[]): T {
    const value = this.#take(key);
    const choice = choices.find((each) => each === value);
    return choice ?? this.#refuse(key, choices.map((each) => JSON.stringify(each)).join(" or "), value);
  }

  /** Whatever stands there. */
  json(key: string): Json {
    return this.#take(key) ?? null;
  }

  object(key: string): JsonFields {
    return new JsonFields(this.#take(key), this.#problem, `${this.#path}${key}.`);
  }

  /** A string that `parse` understands; undefined from it means that it does not, an error says why as well. */
  parsed<T>(key: string, wanted: string, parse: (text: string) => T | undefined): T {
    const text = this.string(key);
    try {
      const value = parse(text);
      if (value !== undefined) return value;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw this.#problem(`${this.#path}${key} is not ${wanted}: ${error.message}`, error);
    }
    // Not shown what it is instead: it may be a secret with a typing error.
    throw this.#problem(`${this.#path}${key} is not ${wanted}`);
  }

  list<T>(key: string, each: (fields: JsonFields) => T): T[] {
    const value = this.#take(key);
    if (!Array.isArray(value)) return this.#refuse(key, "a list", value);
    return value.map((item: Json, index) => {
      const fields = new JsonFields(item, this.#problem, `${this.#path}${key}[${index}].`);
      const result = each(fields);
      fields.end();
      return result;
    });
  }

  /** The problem of a field whose type is right and whose value is not. */
  fail(key: string, problem: string): never {
    throw this.#problem(`${this.#path}${key} ${problem}`);
  }

  /** No further fields may be there. */
  end(): void {
    const [unknown] = this.#unread;
    if (unknown !== undefined)
      throw this.#problem(`${this.#path}${shown(unknown)} is not a field known here`);
  }

  #take(key: string): Json | undefined {
    this.#unread.delete(key);
    // An own field only: "constructor" and the like are inherited by every object.
    return Object.hasOwn(this.#object, key) ? this.#object[key] : undefined;
  }

  #refuse(key: string, wanted: string, value: Json | undefined): never {
    if (value === undefined) throw this.#problem(`${this.#path}${key} is missing`);
    throw this.#problem(`${this.#path}${key} must be ${wanted}, not ${kindOf(value)}`);
  }
}

/** The name of a field that nobody expected: of a damaged file it may be anything, and of any length. */
function shown(name: string): string {
  return /^\w{1,40}$/.test(name) ? name : JSON.stringify(name.slice(0, 40));
}

/** The kind of a value, never the value itself: it may be a secret. Numbers are none. */
function kindOf(value: Json | undefined): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "a list";
  switch (typeof value) {
    case "number":
    case "boolean":
      return String(value);
    case "string":
      return "another string";
    default:
      return "an object";
  }
}
