import { afterAll, beforeAll, test } from "bun:test";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChaosProxy } from "../../support/chaos-proxy.ts";
import { type Caddy, startCaddy } from "./caddy.ts";
import { Children } from "./children.ts";
import { Middle } from "./middle.ts";
import { type Origin, startOrigin } from "./origin.ts";
import { ALLOW_LOOPBACK, Rvpn, type RvpnClient, type RvpnServer } from "./rvpn.ts";
import { BINARY, type Route, TEST_MS } from "./settings.ts";

/** How many lines of each log a failure shows; `RVPN_E2E_LOGS=DIR` keeps all of them. */
const LOG_TAIL_LINES = 25;
const HOOK_MS = 60_000;

export interface WorldOptions {
  readonly route: Route;
  /** Arguments of the server beside its state and address; by default it may reach loopback. */
  readonly serverArgs?: readonly string[];
  readonly clientArgs?: readonly string[];
  readonly clientEnv?: Readonly<Record<string, string>>;
  /** Put a counting wire before the server. */
  readonly middle?: boolean;
  /** Put a bad path before the server. */
  readonly chaos?: boolean;
}

/** Origin, server and client of one test file, each a process of its own, and where everything is. */
export interface World {
  readonly route: Route;
  readonly dir: string;
  readonly children: Children;
  readonly rvpn: Rvpn;
  readonly origin: Origin;
  readonly server: RvpnServer;
  readonly client: RvpnClient;
  readonly middle: Middle | undefined;
  readonly chaos: ChaosProxy | undefined;
  readonly caddy: Caddy | undefined;
  /** What a client is told the server's address is. */
  readonly url: string;
  /** What every client of this world needs on its command line: `--ca` behind Caddy. */
  readonly trust: readonly string[];
}

export type WorldTest = (
  name: string,
  body: (world: World) => Promise<void> | void,
  limitMs?: number,
) => void;

/** Gives the tests of one `describe` a world that ends with it, and shows its logs where one fails. */
export function useWorld(options: WorldOptions): WorldTest {
  let world: World | undefined;
  let dir = "";
  let children: Children | undefined;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "rvpn-e2e-"));
    const family = new Children(dir);
    children = family;
    world = await explained(family, () => startWorld(options, dir, family), HOOK_MS);
  }, HOOK_MS * 2);
  afterAll(async () => {
    world?.middle?.close();
    world?.chaos?.close();
    const left = (await children?.stopAll()) ?? [];
    keepLogs(children);
    rmSync(dir, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`processes were left behind:\n${left.join("\n")}`);
  }, HOOK_MS);
  return (name, body, limitMs = TEST_MS) => {
    const run = async () => {
      if (world === undefined || children === undefined) throw new Error("the world did not come up");
      const present = world;
      await explained(children, async () => body(present), limitMs);
    };
    test(name, run, limitMs + HOOK_MS);
  };
}

export async function startWorld(options: WorldOptions, dir: string, children: Children): Promise<World> {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: bun run build`);
  const { route, serverArgs = ALLOW_LOOPBACK, clientArgs = [], clientEnv = {} } = options;
  const rvpn = new Rvpn(children, dir);
  const [origin, server] = await Promise.all([startOrigin(children), rvpn.startServer(serverArgs)]);
  const middle = options.middle === true ? new Middle(() => server.port) : undefined;
  const chaos = options.chaos === true ? new ChaosProxy(() => server.port) : undefined;
  const upstreamPort = middle?.port ?? chaos?.port ?? server.port;
  const caddy = route === "caddy" ? await startCaddy(children, dir, upstreamPort) : undefined;
  const url = caddy === undefined ? `ws://127.0.0.1:${upstreamPort}/` : `wss://localhost:${caddy.port}/`;
  const trust = caddy === undefined ? [] : ["--ca", caddy.ca];
  const link = await server.invite("first", "--url", url);
  const client = await rvpn.startClient({ link, args: [...trust, ...clientArgs], env: clientEnv });
  return { route, dir, children, rvpn, origin, server, client, middle, chaos, caddy, url, trust };
}

/** Runs `body` within `limitMs`; what it throws is followed by the ends of all logs. */
async function explained<T>(children: Children, body: () => Promise<T>, limitMs: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not done after ${limitMs} ms`)), limitMs);
  try {
    return await Promise.race([body(), late.promise]);
  } catch (error) {
    for (const { name, output } of children.logs()) {
      const tail = output.trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
      process.stderr.write(`--- ${name}\n${tail}\n`);
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function keepLogs(children: Children | undefined): void {
  const target = process.env["RVPN_E2E_LOGS"];
  if (target === undefined) return;
  mkdirSync(target, { recursive: true });
  for (const { name, output } of children?.logs() ?? []) {
    appendFileSync(join(target, `${name}.log`), `=== ${new Date().toISOString()}\n${output}`);
  }
}
