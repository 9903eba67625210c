import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { importsOf, type Source, sourceOf, sourcesIn } from "../support/source.ts";

const sources = new Map(sourcesIn("src/cli").map((source) => [source.path, source]));

/** A command's file and everything of src/cli that it imports, however far. */
function filesOf(name: string): Source[] {
  const found = new Map<string, Source>();
  const visit = (path: string): void => {
    const source = sources.get(path);
    if (source === undefined || found.has(path)) return;
    found.set(path, source);
    for (const each of importsOf(source)) visit(each);
  };
  visit(`src/cli/commands/${name}.ts`);
  return [...found.values()];
}

/** Names that are read out of `values`: as a property, by an index, or by taking it apart. */
function namesRead({ statements }: Source): string[] {
  const direct = statements.matchAll(/\bvalues(?:\.(\w+)|\["([\w-]+)"\])/g);
  const apart = statements.matchAll(/\{([^{}]*)\}\s*=\s*(?:\w+\.)?values\b/g);
  return [
    ...[...direct].map(([, property, index]) => property ?? index ?? ""),
    ...[...apart].flatMap(([, names = ""]) =>
      names.split(",").map((name) => name.split(":")[0]?.trim().replaceAll('"', "") ?? ""),
    ),
  ];
}

describe("an option that is parsed does something:", () => {
  test.each(Object.keys(COMMANDS) as (keyof typeof COMMANDS)[])(
    "%s reads every one of its own",
    async (name) => {
      const { default: command } = await COMMANDS[name].load();
      const read = new Set(filesOf(name).flatMap(namesRead));
      const declared = Object.keys(command.flags);
      expect(declared.length).toBeGreaterThan(0);
      expect(declared.filter((flag) => !read.has(flag))).toEqual([]);
    },
  );

  test("one that is not read would be found", () => {
    const text = `const { a, "b-c": d } = args.values; f(values.e, values["g-h"]); // values.ignored`;
    expect(namesRead(sourceOf("a.ts", text)).sort()).toEqual(["a", "b-c", "e", "g-h"]);
  });
});
