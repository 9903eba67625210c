import { describe, expect, test } from "bun:test";
import type { Flags } from "../../src/cli/flags.ts";
import { asksForHelp, parseStrict } from "../../src/cli/strict-args.ts";
import { UsageError } from "../../src/runtime/errors.ts";

const flags = {
  link: { type: "positional", description: "" },
  proxy: { type: "string", valueHint: "PORT", description: "" },
  wait: { type: "string", valueHint: "DURATION", default: "15s", description: "" },
  suite: { type: "string", valueHint: "SUITE", choices: ["one", "two"], description: "" },
  allow: { type: "string", valueHint: "CIDR", repeatable: true, description: "" },
  "no-color": { type: "boolean", description: "" },
  detach: { type: "boolean", description: "" },
  state: { type: "string", valueHint: "DIR", env: false, description: "" },
} as const satisfies Flags;

const required = {
  name: { type: "positional", required: true, description: "" },
  url: { type: "string", valueHint: "URL", required: true, description: "" },
} as const satisfies Flags;

function parse(args: string, env: Record<string, string> = {}) {
  return parseStrict(flags, args === "" ? [] : args.split(" "), env);
}

function refusal(attempt: () => unknown): { message: string; hint: string } {
  try {
    attempt();
  } catch (error) {
    if (error instanceof UsageError) return { message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error("it was accepted");
}

describe("values", () => {
  test("are what the declarations promise when nothing is given", () => {
    expect(parse("").values).toEqual({
      link: undefined,
      proxy: undefined,
      wait: "15s",
      suite: undefined,
      allow: [],
      "no-color": false,
      detach: false,
      state: undefined,
    });
  });

  test.each([
    ["--proxy=1080", "1080"],
    ["--proxy 1080", "1080"],
    ["--proxy -", "-"],
    ["--proxy=-1", "-1"],
    ["--proxy=a=b", "a=b"],
  ])("of a string: %s", (args, value) => {
    expect(parse(args).values.proxy).toBe(value);
  });

  test("of a repeatable flag come in order", () => {
    expect(parse("--allow a --allow=b --allow c").values.allow).toEqual(["a", "b", "c"]);
  });

  test.each([
    ["--detach", true],
    ["--no-detach", false],
  ])("of a boolean: %s", (args, value) => {
    expect(parse(args).values.detach).toBe(value);
  });

  test("a flag whose own name begins with no- is not a negation", () => {
    expect(parse("--no-color").values["no-color"]).toBe(true);
    expect(parse("--no-no-color").values["no-color"]).toBe(false);
  });

  test("positional arguments stand anywhere, - among them, and after -- with dashes too", () => {
    expect(parse("--proxy 1 LINK --detach").values.link).toBe("LINK");
    expect(parse("-").values.link).toBe("-");
    expect(parse("-- --proxy").values.link).toBe("--proxy");
  });
});

describe("what follows -- is the command of a command that takes one", () => {
  const read = (...args: string[]) => parseStrict(flags, args, {}, { takesCommand: true });

  test("with all its dashes, and no flag of it is ours", () => {
    const { command, values } = read("LINK", "--", "curl", "--proxy", "x", "--", "--help");
    expect(command).toEqual(["curl", "--proxy", "x", "--", "--help"]);
    expect(values).toMatchObject({ link: "LINK", proxy: undefined });
  });

  test("it is undefined without --", () => {
    expect(read("LINK").command).toBeUndefined();
  });
});

describe("variables", () => {
  test("mirror flags", () => {
    const env = { RVPN_PROXY: "1", RVPN_WAIT: "2s", RVPN_ALLOW: "a:80,443  b", RVPN_DETACH: "yes" };
    expect(parse("", env).values).toMatchObject({
      proxy: "1",
      wait: "2s",
      allow: ["a:80,443", "b"],
      detach: true,
    });
  });

  test("lose to flags", () => {
    const env = { RVPN_PROXY: "1", RVPN_ALLOW: "a", RVPN_DETACH: "1" };
    expect(parse("--proxy 2 --allow b --no-detach", env).values).toMatchObject({
      proxy: "2",
      allow: ["b"],
      detach: false,
    });
  });

  test("that are empty are not set", () => {
    expect(parse("", { RVPN_WAIT: "", RVPN_DETACH: "" }).values).toMatchObject({
      wait: "15s",
      detach: false,
    });
  });

  test("do not exist for positional arguments, nor where the declaration says so", () => {
    expect(parse("", { RVPN_LINK: "x", RVPN_STATE: "y" }).values).toMatchObject({
      link: undefined,
      state: undefined,
    });
  });

  test("are named in errors", () => {
    expect(refusal(() => parse("", { RVPN_SUITE: "three" })).message).toBe(
      'RVPN_SUITE: "three" is not known',
    );
    expect(refusal(() => parse("", { RVPN_DETACH: "maybe" })).message).toBe(
      'RVPN_DETACH: "maybe" is neither yes nor no',
    );
    expect(parse("", { RVPN_PROXY: "1" }).nameOf("proxy")).toBe("RVPN_PROXY");
    expect(parse("--proxy 1", { RVPN_PROXY: "2" }).nameOf("proxy")).toBe("--proxy");
    expect(parse("").nameOf("wait")).toBe("--wait");
  });
});

describe("mistakes are refused", () => {
  test.each([
    ["--bogus", 'unknown option "--bogus"', "--help lists the options"],
    ["--porxy 1", 'unknown option "--porxy"', "did you mean --proxy? --help lists the options"],
    ["--no-proxy", 'unknown option "--no-proxy"', "--help lists the options"],
    ["-p=99", 'unknown option "-p"', "--help lists the options"],
    ["-p", 'unknown option "-p"', "--help lists the options"],
    ["---proxy=1", 'unknown option "---proxy"', "--help lists the options"],
    ["--constructor", 'unknown option "--constructor"', "--help lists the options"],
    ["--link x", 'unknown option "--link"', "--help lists the options"],
    ["--Proxy 1", 'unknown option "--Proxy"', "did you mean --proxy? --help lists the options"],
    ["--proxy", "--proxy needs a value", "write --proxy=PORT"],
    ["--proxy=", "--proxy needs a value", "write --proxy=PORT"],
    ["--proxy --detach", "--proxy needs a value", "write --proxy=PORT"],
    ["--proxy -- 1", "--proxy needs a value", "write --proxy=PORT"],
    ["--proxy 1 --proxy 1", "--proxy was given twice", "give --proxy once"],
    ["--detach --no-detach", "--detach was given twice", "give --detach once"],
    ["--detach=yes", "--detach takes no value", "write --detach or --no-detach"],
    ["--no-detach=yes", "--no-detach takes no value", "write --detach or --no-detach"],
    ["--suite three", '--suite: "three" is not known', "choose one of: one, two"],
    ["a b", 'unexpected argument "b"', "this command takes LINK; --help tells more"],
  ])("%s", (args, message, hint) => {
    expect(refusal(() => parse(args))).toEqual({ message, hint });
  });

  test("an empty argument is an argument", () => {
    expect(refusal(() => parseStrict(flags, ["a", ""], {})).message).toBe('unexpected argument ""');
  });

  test("what is required and missing", () => {
    expect(refusal(() => parseStrict(required, ["--url=x"], {})).message).toBe("NAME is missing");
    expect(refusal(() => parseStrict(required, ["name"], {}))).toEqual({
      message: "--url is missing",
      hint: "write --url URL; --help tells more",
    });
  });

  test("secrets are not repeated, nor are control characters", () => {
    expect(refusal(() => parse("a wss://host/#secret")).message).toBe('unexpected argument "wss://host/#…"');
    expect(refusal(() => parse("--x\u001b[2J\n")).message).toBe('unknown option "--x [2J "');
    expect(refusal(() => parse("--wss://host/#secret")).message).not.toContain("secret");
    expect(refusal(() => parse("a rvpn-sk-secret")).message).toBe('unexpected argument "rvpn-sk-…"');
  });
});

test("without() leaves out flags with their values and arguments, for starting the program again", () => {
  const parsed = parse("--proxy 1 LINK --detach --allow a --wait=2s --allow b");
  expect(parsed.without("link", "detach", "wait")).toEqual(["--proxy", "1", "--allow", "a", "--allow", "b"]);
  expect(parsed.without("allow", "proxy")).toEqual(["LINK", "--detach", "--wait=2s"]);
});

test.each([
  [["--help"], true],
  [["-h"], true],
  [["--bogus", "--help"], true],
  [["--", "--help"], false],
  [["help"], false],
])("asksForHelp(%j)", (args, asks) => {
  expect(asksForHelp(args)).toBe(asks);
});
