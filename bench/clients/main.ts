/**
 * Many rvpn clients in one process: `main.ts`, with a seat's link in RVPN_LINK. They are the real keepers of links,
 * without proxy ports. Answers a line of JSON to each line of its input:
 *
 *   hold N            {"held"}: starts N clients and keeps them
 *   cycle N PARALLEL  {"done"}: N times a client that comes, is accepted and goes
 */
import { createInterface } from "node:readline";
import { Keeper } from "../../src/client/keeper.ts";
import { parseLink, seatIdentity } from "../../src/proto/index.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { secureRandom } from "../../src/runtime/random.ts";
import { inParallel, within } from "../lib/pool.ts";

const HOLD_PARALLEL = 16;
const ACCEPT_MS = 20_000;

const link = parseLink(process.env.RVPN_LINK ?? "");
const identity = seatIdentity(link.secret, link.serverKey);
const held: Keeper[] = [];

process.stdout.write(`${JSON.stringify({ ready: 1 })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
}
process.exit(0);

async function answer(line: string): Promise<object> {
  const [verb, count, parallel] = line.split(" ");
  if (verb === "hold") {
    await inParallel(Number(count), HOLD_PARALLEL, async () => void held.push(await startClient()));
    return { held: held.length };
  }
  await inParallel(Number(count), Number(parallel), async () => (await startClient()).stop());
  return { done: Number(count) };
}

/** A client whose first link has been accepted. */
async function startClient(): Promise<Keeper> {
  const accepted = Promise.withResolvers<void>();
  const keeper = new Keeper({
    server: () => ({ ...link, sequence: 0, joined: true }),
    identity,
    random: secureRandom,
    padding: "padme",
    links: 1,
    suites: ["aes-256-gcm"],
    log: silentLog,
    onAccepted: accepted.resolve,
    onSuccessor: () => {},
    onGateKey: () => {},
    onEnd: ({ kind }) => accepted.reject(new Error(`a client ended: ${kind}`)),
  });
  keeper.start();
  await within("a client's Accept", ACCEPT_MS, accepted.promise);
  return keeper;
}
