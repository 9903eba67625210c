import { rmSync } from "node:fs";
import { type Bench, type Case, newResults, rounds } from "../lib/bench.ts";
import { Curl } from "../lib/curl.ts";
import { writePattern } from "../lib/pattern-file.ts";
import type { Results } from "../lib/results.ts";

const MB = 1e6;

/** Whether one direction has to wait for the other: a lock or a state that both share would show here. */
export const duplex: Case = {
  name: "duplex",
  summary: "a download and an upload at once, beside the download alone",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const size = (bench.isQuick ? 50 : 500) * MB;
  const results = newResults(`duplex: ${size / MB} MB each way`, [
    { key: "alone", title: "download alone", unit: "MB/s", ratio: true },
    { key: "both", title: "both, sum", unit: "MB/s", ratio: true },
    { key: "share", title: "both : alone", unit: "" },
    { key: "cpu", title: "CPU of both", unit: "s/GB", plain: true },
  ]);
  results.notes.push("The sum is of all bytes until the slower direction is done.");
  const curl = new Curl(bench.processes);
  const file = await writePattern(bench.directory, size);
  await rounds(bench, {
    label: "duplex",
    rounds: bench.isQuick ? 2 : 5,
    results: [results],
    measure: async (running) => {
      const route = await running.route(bench.origin.http);
      const alone = size / MB / (await curl.download(route, size)).seconds;
      const { value, cpuSeconds } = await running.measure(() =>
        Promise.all([curl.download(route, size), curl.upload(route, file)]),
      );
      const both = (2 * size) / MB / Math.max(...value.map(({ seconds }) => seconds));
      results.add(running.name, "alone", alone);
      results.add(running.name, "both", both);
      results.add(running.name, "share", both / alone);
      if (running.ends.server.length > 0)
        results.add(running.name, "cpu", (cpuSeconds.client + cpuSeconds.server) / ((2 * size) / 1e9));
    },
  });
  rmSync(file);
  return [results];
}
