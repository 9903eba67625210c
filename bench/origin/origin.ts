import { resolve } from "node:path";
import { startHelper } from "../lib/helper.ts";
import type { Processes } from "../lib/processes.ts";

/** The running origin's ports. */
export interface Origin {
  readonly http: number;
  readonly echo: number;
}

export async function startOrigin(processes: Processes): Promise<Origin> {
  const helper = await startHelper(processes, resolve(import.meta.dir, "main.ts"), []);
  return { http: helper.number("http"), echo: helper.number("echo") };
}
