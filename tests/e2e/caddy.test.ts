import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { CADDYFILE, describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

describeWith(programsFor("caddy"), "Caddyfile.example", () => {
  const it = useWorld({ route: "caddy" });
  it("is formatted as Caddy formats it", isFormatted);
  it("has what a tunnel needs from it", hasItsParts);
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

function keepsSecrets(world: World): void {
  const { caddy, client, server } = world;
  for (const child of [caddy?.child, client.child, server.child]) {
    const output = child?.output() ?? "";
    expect(output).not.toMatch(/sid=[\w-]{20}/);
    // The fragment of a link, which is all that is secret in it.
    expect(output).not.toMatch(/wss?:\/\/[^\s"]*#[\w-]{20}/);
  }
}
