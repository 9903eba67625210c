import { startCrowd } from "../clients/crowd.ts";
import { type Bench, type Case, newResults } from "../lib/bench.ts";
import { inParallel, within } from "../lib/pool.ts";
import { cpuSeconds } from "../lib/proc.ts";
import type { Results } from "../lib/results.ts";
import { Wire } from "../lib/wire.ts";

const PARALLEL = 8;
const WARM_UP = 50;
const TIMEOUT_MS = 60_000;
/** Long enough for every token of the right form, and never made with the server's key. */
const FORGED_TOKEN = "A".repeat(43);
const STRANGER = [
  "GET / HTTP/1.1",
  "Host: 127.0.0.1",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  `Cookie: sid=${FORGED_TOKEN}`,
  "\r\n",
].join("\r\n");

/** What a server's CPU can take of clients that come, and of strangers that only try. */
export const handshakes: Case = {
  name: "handshakes",
  summary: "full post-quantum handshakes per second of server CPU, and forged attempts",
  run,
};

async function run(bench: Bench): Promise<readonly Results[]> {
  const count = bench.isQuick ? 300 : 3_000;
  const results = newResults(
    `handshakes: ${count} each, ${PARALLEL} at a time`,
    [
      { key: "perCpu", title: "per second of server CPU", unit: "1/s", ratio: true },
      { key: "cpu", title: "server CPU", unit: "ms each" },
      { key: "rate", title: "by the clock", unit: "1/s" },
    ],
    "client accepted",
  );
  results.notes.push(
    "A client: X3DH with ML-KEM-768, Accept, and the end. A stranger: a WebSocket, no gate key.",
  );
  const crowd = await startCrowd(bench, "handshakes");
  const { port, daemon } = crowd.server;
  const rows = [
    { name: "client accepted", burst: (times: number) => crowd.ask(`cycle ${times} ${PARALLEL}`) },
    {
      name: "stranger",
      burst: (times: number) => inParallel(times, PARALLEL, () => knock(port)),
    },
  ];
  for (const { burst } of rows) await within("handshakes", TIMEOUT_MS, burst(WARM_UP));
  for (let round = 0; round < (bench.isQuick ? 2 : 5); round += 1) {
    for (const { name, burst } of rows) {
      bench.progress.show(`handshakes: round ${round + 1}, ${name}`);
      const before = cpuSeconds([daemon.pid]);
      const started = performance.now();
      await within("handshakes", TIMEOUT_MS, burst(count));
      const cpu = cpuSeconds([daemon.pid]) - before;
      results.add(name, "rate", (count / (performance.now() - started)) * 1000);
      results.add(name, "perCpu", count / cpu);
      results.add(name, "cpu", (cpu * 1000) / count);
    }
  }
  await crowd.end();
  return [results];
}

/** A WebSocket upgrade with a forged token. Throws when it is let in. */
async function knock(port: number): Promise<void> {
  const wire = await Wire.open({ port, socksPort: undefined });
  const answered = Promise.withResolvers<string>();
  wire.onData = (bytes) => answered.resolve(Buffer.from(bytes).toString("latin1", 0, 12));
  void wire.closed.then(() => answered.reject(new Error("a stranger was cut off without an answer")));
  wire.write(STRANGER);
  const status = await answered.promise;
  wire.close();
  if (status.includes(" 101")) throw new Error("a stranger was let in");
}
