import { describe, expect, test } from "bun:test";
import { callControl } from "../../src/runtime/control.ts";
import { useControl } from "./control-support.ts";
import { rawCall } from "./raw-call.ts";

const serve = useControl();

describe("garbage", () => {
  test.each([
    ["no JSON", "garbage\n"],
    ["no object", "7\n"],
    ["no op", '{"name":"x"}\n'],
    ["an op that is no string", '{"op":7}\n'],
    ["an empty line", "\n"],
    ["no UTF-8", Uint8Array.of(0x22, 0xff, 0x22, 0x0a)],
    ["two requests", '{"op":"x"}\n{"op":"x"}\n'],
    ["more than 64 KiB without an end", "x".repeat(70_000)],
    ["a request that is cut short", '{"op":"x"'],
  ])("of the kind %s closes its connection and no other", async (_, text) => {
    const { path, dir } = await serve(async () => {
      await Bun.sleep(30);
      return "fine";
    });
    const other = callControl(dir, { op: "x" });
    expect(await rawCall(path, text)).toBe("");
    expect(await other).toBe("fine");
    expect(await callControl(dir, { op: "x" })).toBe("fine");
  });

  test("after a request takes back the reply", async () => {
    const closed = Promise.withResolvers<string>();
    const { path } = await serve(() => closed.promise);
    const reply = rawCall(path, '{"op":"x"}\n', { later: "more" });
    expect(await reply).toBe("");
    closed.resolve("never");
  });

  test("may come in any pieces when it is a request", async () => {
    const { path } = await serve();
    expect(await rawCall(path, '{"op":"x"}\n', { pieces: true })).toBe('{"ok":true,"result":{"op":"x"}}\n');
  });
});

test("a request that does not come in time is not waited for", async () => {
  const { path } = await serve();
  const start = performance.now();
  expect(await rawCall(path, '{"op":', { keepOpen: true })).toBe("");
  expect(performance.now() - start).toBeWithin(4_500, 7_000);
}, 10_000);

test("connections beyond the limit are closed, and the rest is served", async () => {
  const { path, dir, close } = await serve();
  const idle = Array.from({ length: 32 }, () => rawCall(path, "", { keepOpen: true }));
  await Bun.sleep(50);
  expect(await rawCall(path, '{"op":"x"}\n')).toBe("");
  close();
  expect(await Promise.all(idle)).toEqual(idle.map(() => ""));
  await serve(() => "again", dir);
  expect(await callControl(dir, { op: "x" })).toBe("again");
});
