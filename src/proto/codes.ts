import { ProtocolError } from "./errors.ts";

/** A table of names with wire codes, readable both ways. Unknown codes are the peer's fault: malformed. */
export class CodeTable<Name extends string> {
  readonly #codes: ReadonlyMap<Name, number>;
  readonly #names: ReadonlyMap<number, Name>;
  readonly #what: string;

  constructor(what: string, entries: Iterable<readonly [Name, number]>) {
    this.#what = what;
    this.#codes = new Map(entries);
    this.#names = new Map([...this.#codes].map(([name, code]) => [code, name]));
  }

  code(name: Name): number {
    const code = this.#codes.get(name);
    if (code === undefined) throw new RangeError(`no ${this.#what} code for ${name}`);
    return code;
  }

  name(code: number): Name {
    const name = this.#names.get(code);
    if (name === undefined) throw new ProtocolError("malformed", `${this.#what} code ${code}`);
    return name;
  }
}
