import { describe, expect, test } from "bun:test";
import { type Log, silentLog } from "../../src/runtime/log.ts";
import { RefusalLog } from "../../src/server/refusal-log.ts";
import { SERVER_LIMITS } from "../../src/server/server-limits.ts";

function listening() {
  const lines: string[] = [];
  const log: Log = {
    ...silentLog,
    info: (message, fields = {}) => void lines.push(`${message} ${Object.values(fields).join(", ")}`),
  };
  return { lines, refusals: new RefusalLog(log) };
}

describe("what the policy refuses", () => {
  test("is told at once, for each client and each rule", () => {
    const { lines, refusals } = listening();
    refusals.refused("ann", "10.0.0.0/8", "10.0.0.1 port 22");
    refusals.refused("ann", "127.0.0.0/8", "127.0.0.1 port 22");
    refusals.refused("bob", "10.0.0.0/8", "10.0.0.2 port 22");
    expect(lines).toEqual([
      "destination refused ann, 10.0.0.1 port 22",
      "destination refused ann, 127.0.0.1 port 22",
      "destination refused bob, 10.0.0.2 port 22",
    ]);
  });

  test("of a client that scans is one line a minute, with the count", () => {
    const { lines, refusals } = listening();
    const scan = (ports: number) => {
      for (let port = 1; port <= ports; port++)
        refusals.refused("ann", "10.0.0.0/8", `10.0.0.1 port ${port}`);
    };
    scan(65_535);
    refusals.flush();
    scan(10);
    refusals.flush();
    refusals.flush();
    refusals.flush();
    scan(1);
    expect(lines).toEqual([
      "destination refused ann, 10.0.0.1 port 1",
      "destinations refused ann, 10.0.0.0/8, 65534",
      "destinations refused ann, 10.0.0.0/8, 10",
      "destination refused ann, 10.0.0.1 port 1",
    ]);
  });

  test("of very many clients takes bounded memory, and is still counted", () => {
    const { lines, refusals } = listening();
    for (let client = 0; client < SERVER_LIMITS.refusalsCounted + 7; client++)
      refusals.refused(`client ${client}`, "10.0.0.0/8", "");
    expect(lines).toHaveLength(SERVER_LIMITS.refusalsCounted);
    refusals.flush();
    expect(lines.at(-1)).toBe("destinations refused to others 7");
  });
});
