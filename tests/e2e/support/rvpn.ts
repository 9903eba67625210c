import { join } from "node:path";
import type { Child, Children, Ran, RunOptions } from "./children.ts";
import { BINARY } from "./settings.ts";

/** The part of `rvpn status --json` that tests look at. */
export interface Status {
  readonly running: boolean;
  readonly pid: number;
  readonly proxy: string;
  readonly link: string;
  readonly reconnects: number;
  readonly streams: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Every slot of `--links`. */
  readonly links: readonly { readonly state: string }[];
  readonly lastReason?: string;
}

/** Where the tests' destinations are. Denied by default, so every server here needs it. */
export const ALLOW_LOOPBACK = ["--allow", "127.0.0.0/8", "--allow", "::1/128"] as const;

/** The command line of rvpn, with everything under one directory. */
export class Rvpn {
  readonly children: Children;
  readonly #dir: string;
  #made = 0;

  constructor(children: Children, dir: string) {
    this.children = children;
    this.#dir = dir;
  }

  /** A state directory that no process uses yet. */
  newState(role: "server" | "client"): string {
    return join(this.#dir, `${role}${this.#made++}`);
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.children.run([BINARY, ...args], options);
  }

  /** Runs a command that has to succeed, and returns its result without the newline. */
  async must(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const ran = await this.run(args, options);
    if (ran.exitCode !== 0) throw new Error(`rvpn ${args.join(" ")}: exit ${ran.exitCode}\n${ran.stderr}`);
    return ran.stdout.trim();
  }

  /** Starts a server on a free port and waits until it listens. */
  async startServer(args: readonly string[] = [], state = this.newState("server")): Promise<RvpnServer> {
    const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
    const command = [BINARY, "server", "--state", state, ...listen, ...args];
    const child = this.children.start("server", command);
    const [, port] = await child.waitFor(/listening .*?:(\d+)(?= |$)/m);
    return new RvpnServer(this, child, Number(port), state);
  }

  /** Starts a client on a free port, and waits until it listens and, by default, until its link is up. */
  async startClient(options: ClientStart = {}): Promise<RvpnClient> {
    const { link, args = [], env = {}, state = this.newState("client"), awaitLink = true } = options;
    const command = [BINARY, "client", "--proxy", "0", "--state", state, ...args];
    const child = this.children.start("client", command, {
      ...env,
      ...(link === undefined ? {} : { RVPN_LINK: link }),
    });
    const [, port] = await child.waitFor(/proxy on .*:(\d+)/);
    const client = new RvpnClient(this, child, Number(port), state);
    if (awaitLink) await this.must(["status", "--state", state, "--wait", "15s"]);
    return client;
  }
}

export interface ClientStart {
  readonly link?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly state?: string;
  readonly awaitLink?: boolean;
}

export class RvpnServer {
  readonly child: Child;
  readonly port: number;
  readonly state: string;
  readonly #rvpn: Rvpn;

  constructor(rvpn: Rvpn, child: Child, port: number, state: string) {
    this.#rvpn = rvpn;
    this.child = child;
    this.port = port;
    this.state = state;
  }

  /** A link for a new client, or for a seat with `--seat`. */
  invite(name: string, ...args: readonly string[]): Promise<string> {
    return this.#rvpn.must(["invite", name, "--state", this.state, ...args]);
  }

  revoke(name: string): Promise<string> {
    return this.#rvpn.must(["revoke", name, "--state", this.state]);
  }
}

export class RvpnClient {
  readonly child: Child;
  readonly port: number;
  readonly state: string;
  readonly #rvpn: Rvpn;

  constructor(rvpn: Rvpn, child: Child, port: number, state: string) {
    this.#rvpn = rvpn;
    this.child = child;
    this.port = port;
    this.state = state;
  }

  /** `host:port` of the proxy. */
  get proxy(): string {
    return `127.0.0.1:${this.port}`;
  }

  async status(): Promise<Status> {
    const text = await this.#rvpn.must(["status", "--json", "--state", this.state]);
    return JSON.parse(text) as Status; // A subset of ClientStatus, which the command prints.
  }

  /** Waits until `isMet` holds of the status; throws what it was at the end of `limitMs`. */
  async awaitStatus(isMet: (status: Status) => boolean, limitMs = 15_000): Promise<Status> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const status = await this.status();
      if (isMet(status)) return status;
      if (performance.now() > deadline) throw new Error(`not in time: ${JSON.stringify(status)}`);
      await Bun.sleep(50);
    }
  }
}
