import { expect, test } from "bun:test";
import { createReporter, type ReporterOptions } from "../../src/cli/reporter.ts";
import { LOG_LEVELS, type LogFields } from "../../src/runtime/log.ts";

function lines(options: Partial<ReporterOptions>, report: (log: ReturnType<typeof createReporter>) => void) {
  const written: string[] = [];
  report(
    createReporter({
      level: "debug",
      timestamps: false,
      colors: false,
      write: (text) => written.push(text),
      ...options,
    }),
  );
  return written;
}

test.each([
  ["error", ["error"]],
  ["warn", ["error", "warn"]],
  ["info", ["error", "warn", "info"]],
  ["debug", ["error", "warn", "info", "debug"]],
] as const)("level %s lets through %j", (level, expected) => {
  const written = lines({ level }, (log) => {
    for (const name of LOG_LEVELS) log[name](`a ${name}`);
  });
  expect(written.map((line) => /a (\w+)\n$/.exec(line)?.[1])).toEqual([...expected]);
});

test("information is the bare message, anything else says what it is", () => {
  const written = lines({}, (log) => {
    log.info("proxy on 127.0.0.1:1080");
    log.warn("the link was lost");
  });
  expect(written).toEqual(["proxy on 127.0.0.1:1080\n", "warn the link was lost\n"]);
});

test("with timestamps every line has its time and its level", () => {
  const [line] = lines({ timestamps: true }, (log) => log.info("listening"));
  expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info listening\n$/);
});

test("equal lines are all written: nothing is folded", () => {
  const written = lines({}, (log) => {
    for (let round = 0; round < 100; round++) log.info("reconnected", { round: 1 });
  });
  expect(written).toHaveLength(100);
});

test.each<[LogFields, string]>([
  [{ host: "example.org", port: 443, ok: true }, "m host=example.org port=443 ok=true\n"],
  [{ reason: undefined, name: "x" }, "m name=x\n"],
  [{ reason: "two words" }, 'm reason="two words"\n'],
  [{ reason: 'say "a=b"' }, 'm reason="say \\"a=b\\""\n'],
  [{ address: "[::1]:1080" }, "m address=[::1]:1080\n"],
  [{ empty: "" }, 'm empty=""\n'],
])("fields %j", (fields, expected) => {
  expect(lines({}, (log) => log.info("m", fields))).toEqual([expected]);
});

test("a peer cannot write another line, nor to the terminal itself", () => {
  const written = lines({}, (log) => log.info("host\nerror forged\u001b[2J", { host: "a\nb\u009b2J" }));
  expect(written).toHaveLength(1);
  for (const character of ["\n", "\u001b", "\u009b"])
    expect(written[0]?.slice(0, -1)).not.toContain(character);
});

test("a message that looks like one of consola's objects is a message", () => {
  expect(lines({}, (log) => log.info("", { message: "x", args: "y" }))).toEqual([" message=x args=y\n"]);
});

test("colors mark the level and nothing else", () => {
  const [line] = lines({ colors: true }, (log) => log.error("boo"));
  expect(line).toBe("\u001b[31merror \u001b[0mboo\n");
});
