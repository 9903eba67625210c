import { expect } from "bun:test";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { formatLink, parseLink } from "../../src/proto/index.ts";
import type { Ran } from "./support/children.ts";
import { describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const REFUSED = 4;

describeWith(programsFor("direct"), "a copy of the server's state directory", () => {
  const it = useWorld({ route: "direct" });
  it("is no client: the server's own key is on no list", serverKeyAsClient);
  it("opens no invite: what it has of one is a hash", hashAsInvite);
});

/** What a thief has, made into what a client needs: a link for `kind` with `secret`, and perhaps an identity. */
async function enter(
  world: World,
  stolen: string,
  options: { kind: "address" | "invite"; secret: Uint8Array; identity?: true },
): Promise<Ran> {
  const known = parseLink(await world.server.invite(crypto.randomUUID()));
  const { kind, secret } = options;
  const state = world.rvpn.newState("client");
  if (options.identity) {
    mkdirSync(state, { mode: 0o700 });
    cpSync(join(stolen, "identity.key"), join(state, "identity.key"));
  }
  const link = formatLink({ ...known, kind, secret });
  const args = ["client", "--proxy", "0", "--state", state, ...world.trust];
  return world.rvpn.run(args, { env: { RVPN_LINK: link }, limitMs: 20_000 });
}

function copyOfState(world: World): string {
  const copy = world.rvpn.newState("server");
  cpSync(world.server.state, copy, {
    recursive: true,
    filter: (path) => !/control|lock/.test(path.slice(world.server.state.length)),
  });
  return copy;
}

async function serverKeyAsClient(world: World): Promise<void> {
  const stolen = copyOfState(world);
  const ran = await enter(world, stolen, { kind: "address", secret: new Uint8Array(16), identity: true });
  expect(ran.stderr).toContain("not on the server's list");
  expect(ran.exitCode).toBe(REFUSED);
}

async function hashAsInvite(world: World): Promise<void> {
  await world.server.invite("open");
  const list = readFileSync(join(copyOfState(world), "clients.json"), "utf8");
  const hashes = [...list.matchAll(/"hash":\s*"([\w-]+)"/g)].map(([, text = ""]) =>
    Uint8Array.fromBase64(text, { alphabet: "base64url" }),
  );
  expect(hashes.length).toBeGreaterThan(0);
  for (const hash of hashes) {
    const ran = await enter(world, world.server.state, { kind: "invite", secret: hash.subarray(0, 16) });
    expect(ran.exitCode, ran.stderr).toBe(REFUSED);
  }
}
