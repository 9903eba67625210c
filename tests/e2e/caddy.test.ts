import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { curlHash, through } from "./support/curl.ts";
import { patternHash } from "./support/pattern.ts";
import { CADDYFILE, describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Three seconds at a rate that the origin keeps: the reload comes in the middle. */
const BYTES = 30_000_000;
const RATE = 10_000_000;

describeWith(programsFor("caddy"), "Caddyfile.example", () => {
  const it = useWorld({ route: "caddy" });
  it("is formatted as Caddy formats it", isFormatted);
  it("has what a tunnel needs from it", hasItsParts);
  it("a reload in mid-transfer loses nothing", survivesReload);
  it("logs neither token nor link", keepsSecrets);
});

/** `caddy fmt` exits 1 in new versions and 0 in old ones where it would change something; the text tells in both. */
async function isFormatted(world: World): Promise<void> {
  const ran = await world.children.run(["caddy", "fmt", CADDYFILE]);
  expect(ran.stdout).toBe(readFileSync(CADDYFILE, "utf8"));
}

function hasItsParts(): void {
  const text = readFileSync(CADDYFILE, "utf8");
  for (const part of ["stream_close_delay", "read_header", "reverse_proxy 127.0.0.1:8443", "file_server"])
    expect(text).toContain(part);
}

async function survivesReload(world: World): Promise<void> {
  if (world.caddy === undefined) throw new Error("this world has no Caddy");
  const { config } = world.caddy;
  const before = await world.client.status();
  const url = world.origin.url(`/bytes/${BYTES}?rate=${RATE}`);
  const hash = curlHash(world, ...through(world, "socks5h"), url);
  await world.client.awaitStatus(({ bytesDown }) => bytesDown > before.bytesDown + BYTES / 10);
  // Something has to differ, or Caddy does nothing.
  writeFileSync(config, readFileSync(config, "utf8").replace("idle 5m", "idle 4m"));
  const address = `unix/${join(world.dir, "caddy/admin.sock")}`;
  const reload = ["caddy", "reload", "--config", config, "--adapter", "caddyfile", "--address", address];
  const ran = await world.children.run(reload);
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(await hash).toBe(patternHash(BYTES));
  await world.client.awaitStatus(({ link }) => link === "up");
}

function keepsSecrets(world: World): void {
  const { caddy, client, server } = world;
  for (const child of [caddy?.child, client.child, server.child]) {
    const output = child?.output() ?? "";
    expect(output).not.toMatch(/sid=[\w-]{20}/);
    // The fragment of a link, which is all that is secret in it.
    expect(output).not.toMatch(/wss?:\/\/[^\s"]*#[\w-]{20}/);
  }
}
