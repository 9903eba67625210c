import { cpus, loadavg } from "node:os";

/** The machine by what matters for speed, and by nothing that tells whose it is. */
export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  /** Load average over the last minute, before anything was started. */
  readonly load: number;
}

export function describeMachine(): Machine {
  const all = cpus();
  return { cores: all.length, cpu: all[0]?.model.trim() ?? "unknown", load: loadavg()[0] ?? 0 };
}

/** Above this share of the cores something else runs that the figures will show. */
const BUSY_SHARE = 0.25;

export function isBusy({ cores, load }: Machine): boolean {
  return load > cores * BUSY_SHARE;
}
