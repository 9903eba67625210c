import { expect, test } from "bun:test";
import { judge, renderVerdicts } from "../../bench/lib/promises.ts";
import { Results } from "../../bench/lib/results.ts";

/** The tables of a run in which rvpn brings `rate` MB/s and ssh 400. */
function run(rate: number): readonly Results[] {
  const unit = { title: "1 GB", unit: "MB/s" };
  const table = new Results("throughput, download: one stream", "ssh -D gcm", [
    { key: "rate-1000000000", ...unit },
  ]);
  table.add("ssh -D gcm", "rate-1000000000", 300, 400, 900);
  table.add("rvpn", "rate-1000000000", rate, 1, 2_000);
  return [table];
}

const outcomes = (rate: number) =>
  judge(run(rate))
    .filter(({ outcome }) => outcome !== "missing")
    .map(({ says, outcome }) => `${outcome} ${says}`);

test("a promise is kept or short by the medians of the run", () => {
  expect(outcomes(480)).toEqual(["kept 1 GB down, × ssh -D gcm"]);
  expect(outcomes(479)).toEqual(["short 1 GB down, × ssh -D gcm"]);
});

test("what a run has no figure for is missing, not kept", () => {
  const verdicts = judge(run(480));
  const missing = verdicts.filter(({ outcome }) => outcome === "missing");
  expect(missing.length).toBe(verdicts.length - 1);
  expect(missing.filter(({ test }) => test === "throughput")).toHaveLength(5);
  expect(renderVerdicts(missing)).toContain("missing 4.8   handshakes per second of server CPU");
});

test("figures are rounded to three digits, or to whole ones", () => {
  const table = new Results("handshakes: 3000 each", "client accepted", [
    { key: "perCpu", title: "per second of server CPU", unit: "1/s" },
  ]);
  table.add("client accepted", "perCpu", 2_479);
  const [line] = renderVerdicts(judge([table]).filter(({ outcome }) => outcome === "kept"))
    .split("\n")
    .slice(1);
  expect(line).toMatch(/ 2479 {2}at least 1000$/);
});
