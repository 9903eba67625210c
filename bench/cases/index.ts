import type { Case } from "../lib/bench.ts";
import { concurrency } from "./concurrency.ts";
import { connections } from "./connections.ts";
import { cost } from "./cost.ts";
import { duplex } from "./duplex.ts";
import { fairness } from "./fairness.ts";
import { handshakes } from "./handshakes.ts";
import { idle } from "./idle.ts";
import { latency } from "./latency.ts";
import { padding } from "./padding.ts";
import { pool } from "./pool.ts";
import { reconnection } from "./reconnection.ts";
import { rtt } from "./rtt.ts";
import { startup } from "./startup.ts";
import { throughput } from "./throughput.ts";

/** All tests, in the order in which they run. */
export const CASES: readonly Case[] = [
  throughput,
  connections,
  latency,
  duplex,
  concurrency,
  rtt,
  fairness,
  startup,
  handshakes,
  idle,
  cost,
  padding,
  pool,
  reconnection,
];
