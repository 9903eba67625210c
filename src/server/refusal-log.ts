import type { Log } from "../runtime/log.ts";
import { SERVER_LIMITS } from "./server-limits.ts";

interface Tally {
  readonly client: string;
  readonly rule: string;
  /** Refusals that no line has told of yet. */
  untold: number;
}

/**
 * Tells the operator what the policy refuses: at once the first time that a rule meets a client, then once a minute how
 * often since. A client that scans the server's network is seen, and cannot fill the disk with it.
 */
export class RefusalLog {
  readonly #log: Log;
  readonly #tallies = new Map<string, Tally>();
  /** Refusals of clients and rules beyond those that are counted each. */
  #others = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `rule` refused `client` what `reason` says. */
  refused(client: string, rule: string, reason: string): void {
    const key = JSON.stringify([client, rule]);
    const known = this.#tallies.get(key);
    if (known !== undefined) {
      known.untold += 1;
      return;
    }
    if (this.#tallies.size >= SERVER_LIMITS.refusalsCounted) {
      this.#others += 1;
      return;
    }
    this.#tallies.set(key, { client, rule, untold: 0 });
    this.#log.info("destination refused", { client, reason });
  }

  /** To be called once a minute, and at the end: says how often each was refused, and forgets whoever was not. */
  flush(): void {
    for (const [key, tally] of this.#tallies) {
      const { client, rule, untold } = tally;
      if (untold === 0) this.#tallies.delete(key);
      else this.#log.info("destinations refused", { client, rule, count: untold });
      tally.untold = 0;
    }
    if (this.#others > 0) this.#log.info("destinations refused to others", { count: this.#others });
    this.#others = 0;
  }
}
