import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openBundle } from "../../src/proto/crypto/bundle.ts";
import { nativePrimitives } from "../../src/proto/crypto/primitives/index.ts";
import { makeGateToken, parseLink } from "../../src/proto/index.ts";
import { describeWith, FULL, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const LINKS = FULL ? 10_000 : 300;
const AT_ONCE = 50;

describeWith(programsFor("direct"), "the server's prekeys", () => {
  const it = useWorld({ route: "direct" });
  it(`are others for each of ${LINKS} links, and never written to the disk`, areFresh);
});

async function areFresh(world: World): Promise<void> {
  const { gateKey } = parseLink(await world.server.invite("curious"));
  const before = filesIn(world.server.state);
  expect(before.map(([name]) => name)).toContain("identity.key");
  const seen = new Set<string>();
  for (let first = 0; first < LINKS; first += AT_ONCE) {
    const dials = Array.from({ length: AT_ONCE }, (_, index) => dial(world.url, gateKey, first + index));
    for (const { prekey, kemPublicKey } of await Promise.all(dials)) {
      seen.add(prekey.toHex()).add(kemPublicKey.toHex());
    }
  }
  expect(seen.size).toBe(2 * LINKS);
  // Nothing there has changed, so nothing of any link is there.
  expect(filesIn(world.server.state)).toEqual(before);
}

/** The bundle of one link, as any holder of a gate key may ask for it. */
async function dial(url: string, gateKey: Uint8Array, index: number) {
  const token = makeGateToken(gateKey, (length) => crypto.getRandomValues(new Uint8Array(length)));
  // Each from an address of its own, as the proxy on this machine would say: one address has few unproven links.
  const from = `2001:db8:${index.toString(16)}::1`;
  const headers = { Cookie: `sid=${token}`, "X-Forwarded-For": from };
  const socket = new WebSocket(url, { headers, perMessageDeflate: false });
  socket.binaryType = "arraybuffer";
  const { promise, resolve, reject } = Promise.withResolvers<ArrayBuffer>();
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => resolve(data);
  socket.onerror = () => reject(new Error(`link ${index} did not open`));
  try {
    return openBundle(nativePrimitives, new Uint8Array(await promise));
  } finally {
    socket.close();
  }
}

/** Every file of a directory with what is in it; sockets have nothing in them. */
function filesIn(directory: string): [name: string, content: string][] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path): [string, string] => [path.slice(directory.length + 1), readFileSync(path, "hex")])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
