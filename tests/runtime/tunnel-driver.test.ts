import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { LIMITS } from "../../src/proto/index.ts";
import type { TunnelDriver } from "../../src/runtime/tunnel-driver.ts";
import { linkedDriver } from "./driver-support.ts";

setDefaultTimeout(30_000);

const realNow = performance.now;
let sleptMs = 0;
performance.now = () => realNow.call(performance) + sleptMs;
afterAll(() => {
  performance.now = realNow;
});
const drivers: TunnelDriver[] = [];
afterEach(() => {
  for (const driver of drivers.splice(0)) driver.close("closed");
  sleptMs = 0;
});

function connected() {
  const linked = linkedDriver();
  drivers.push(linked.driver);
  return linked;
}

const listener = { onResponse() {}, onData() {}, onFin() {}, onReset() {}, onFull() {}, onWritable() {} };
const DESTINATION = { host: { kind: "name", name: "a.example" }, port: 80 } as const;

describe("a timer that comes far too late", () => {
  test("does not cost the link, which gets its 3 and 10 s anew and is asked for life", async () => {
    const { driver, sent, lost, events } = connected();
    driver.open(DESTINATION, listener);
    await Bun.sleep(LIMITS.urgentPingDeadlineMs - 500);
    const before = sent.length;
    // Stopped for 20 s, which timers do not know of.
    sleptMs += 20_000;
    await Bun.sleep(700);
    expect({ lost, events }).toEqual({ lost: [], events: ["accepted"] });
    expect(sent.length).toBe(before + 1);
    await Bun.sleep(LIMITS.urgentPingDeadlineMs);
    expect({ lost, events }).toEqual({ lost: [], events: ["accepted", "suspect"] });
  });

  test("and one in time finds the silent link suspect after 3 s", async () => {
    const { driver, lost, events } = connected();
    driver.open(DESTINATION, listener);
    await Bun.sleep(LIMITS.urgentPingDeadlineMs + 200);
    expect({ lost, events }).toEqual({ lost: [], events: ["accepted", "suspect"] });
  });
});
