/**
 * The whole of rvpn in a minute: `bun run demo`. Builds the binary, starts an origin, a server and a client as processes
 * of it, fetches 100 MB through SOCKS5 and through the HTTP proxy, compares hashes and ends everything.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARY, build, capture, ensureInstalled, print, ROOT, say } from "./tools.ts";

const FILE_BYTES = 100_000_000;
const READY_MS = 15_000;

const children: Bun.Subprocess[] = [];
const directory = mkdtempSync(join(tmpdir(), "rvpn-demo-"));
const serverState = join(directory, "server");
const clientState = join(directory, "client");

try {
  await ensureInstalled();
  await build();
  await demo();
} catch (error) {
  say(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  for (const child of children.toReversed()) child.kill();
  await Promise.all(children.map((child) => child.exited));
  rmSync(directory, { recursive: true, force: true });
}

async function demo(): Promise<void> {
  const origin = await startOrigin();
  const serverPort = await freePort();
  say("demo: starting a server");
  start([
    BINARY,
    "server",
    "--listen",
    `127.0.0.1:${serverPort}`,
    "--state",
    serverState,
    "--allow",
    "127.0.0.0/8",
  ]);
  const link = await invite(`ws://127.0.0.1:${serverPort}/`);
  say("demo: starting a client");
  const proxyPort = await freePort();
  start([BINARY, "client", "--proxy", String(proxyPort), "--state", clientState], { RVPN_LINK: link });
  await mustRun([BINARY, "status", "--state", clientState, "--wait", "10s"]);
  for (const proxy of ["socks5h", "http"]) await fetchThrough(`${proxy}://127.0.0.1:${proxyPort}`, origin);
  print("Both files arrived whole, sealed by a Double Ratchet between two processes of dist/rvpn.");
  print("On a real host:   rvpn server          and   rvpn invite laptop --url wss://your.host/");
  print("On the laptop:    rvpn client --proxy 1080 LINK");
  print("README.md goes on from here: Caddy for TLS, CI jobs, all commands.");
}

interface Origin {
  readonly url: string;
  readonly sha256: string;
}

/** The origin is a process of the same binary, which is Bun itself when asked to be. */
async function startOrigin(): Promise<Origin> {
  say(`demo: making a file of ${FILE_BYTES / 1e6} MB`);
  const child = Bun.spawn([BINARY, join(ROOT, "scripts/demo-origin.ts"), String(FILE_BYTES)], {
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  const [port, sha256] = new TextDecoder().decode(value).trim().split(" ");
  if (port === undefined || sha256 === undefined) throw new Error("the origin did not start");
  return { url: `http://127.0.0.1:${port}/file`, sha256 };
}

function start(command: readonly string[], env: Record<string, string> = {}): void {
  const logs = process.env["RVPN_DEMO_VERBOSE"] === "1" ? "inherit" : "ignore";
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", logs],
  });
  children.push(child);
}

/** Invites as an operator would, beside the running server. */
async function invite(url: string): Promise<string> {
  const deadline = performance.now() + READY_MS;
  for (;;) {
    const answers = await fetch(url.replace("ws:", "http:")).then(
      () => true,
      () => false,
    );
    if (answers) break;
    if (performance.now() > deadline) throw new Error("the server did not start");
    await Bun.sleep(50);
  }
  const { exitCode, stdout } = await capture([
    BINARY,
    "invite",
    "demo",
    "--url",
    url,
    "--state",
    serverState,
    // Without the hints to a person that come beside the bare link.
    "--json",
  ]);
  if (exitCode !== 0) throw new Error(`rvpn invite ended with ${exitCode}`);
  return JSON.parse(stdout).link;
}

async function fetchThrough(proxy: string, origin: Origin): Promise<void> {
  const started = performance.now();
  const command = [
    "curl",
    "--silent",
    "--show-error",
    "--fail",
    "--proxy",
    proxy,
    "--noproxy",
    "",
    origin.url,
  ];
  const child = Bun.spawn(command, { stdio: ["ignore", "pipe", "inherit"] });
  const hash = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  for await (const chunk of child.stdout) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const seconds = (performance.now() - started) / 1000;
  if ((await child.exited) !== 0) throw new Error(`curl through ${proxy} failed`);
  if (hash.digest("hex") !== origin.sha256) throw new Error(`the file through ${proxy} is not the origin's`);
  const name = proxy.startsWith("socks") ? "SOCKS5" : "HTTP proxy";
  print(`${name.padEnd(10)} ${bytes / 1e6} MB, SHA-256 equal, ${(bytes / 1e6 / seconds).toFixed(0)} MB/s`);
}

async function mustRun(command: readonly string[]): Promise<void> {
  const { exitCode } = await capture(command);
  if (exitCode !== 0) throw new Error(`${command.slice(1).join(" ")} ended with ${exitCode}`);
}

async function freePort(): Promise<number> {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
