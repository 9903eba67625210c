import { afterAll, expect } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { patternHash, writePattern } from "./support/pattern.ts";
import { readLines } from "./support/read-lines.ts";
import { describeWith, programsFor, ROUTES, SIZES } from "./support/settings.ts";
import { type Sshd, startSshd } from "./support/sshd.ts";
import { useWorld, type World } from "./support/world.ts";

const SCP_BYTES = SIZES.transferBytes / 5;
/** Far above what an exchange takes here, and far below what a person calls waiting. */
const SLOW_EXCHANGE_MS = 500;

for (const route of ROUTES) {
  describeWith(programsFor(route, "ssh", "sshd", "scp", "ssh-keygen", "nc"), `ssh, ${route}`, () => {
    const it = useWorld({ route });
    let running: Sshd | undefined;
    afterAll(async () => {
      await running?.child.stop();
      running?.cleanUp();
    });
    const sshd = async (world: World) => {
      running ??= await startSshd(world.children, world.dir, world.client.proxy);
      return running;
    };
    it("runs a command and gives its exit code", async (world) => runsCommand(world, await sshd(world)));
    it("keystrokes come back, one after the other", async (world) => interactive(world, await sshd(world)));
    it("scp carries a file each way", async (world) => copies(world, await sshd(world)));
    it("what ssh leaves is not a stream", async (world) => {
      await world.client.awaitStatus(({ streams }) => streams === 0);
    });
  });
}

async function runsCommand({ children, client }: World, sshd: Sshd): Promise<void> {
  const before = await client.status();
  const ran = await children.run(["ssh", "-F", sshd.clientConfig, "target", "echo $((6 * 7)); exit 3"]);
  expect(ran).toMatchObject({ exitCode: 3, stdout: "42\n", stderr: "" });
  // sshd is on this machine: without a look at the tunnel, ssh without any proxy would pass too.
  expect((await client.status()).bytesDown).toBeGreaterThan(before.bytesDown);
}

/** A terminal session, as -tt forces it: each line waits for the echo of the one before. */
async function interactive({ children }: World, sshd: Sshd): Promise<void> {
  const command = ["ssh", "-tt", "-F", sshd.clientConfig, "target", "stty -echo; echo ready; exec cat"];
  const child = Bun.spawn(command, {
    env: children.environment({}),
    stdio: ["pipe", "pipe", "ignore"],
  });
  const lines = readLines(child.stdout);
  try {
    expect((await lines.next()).value).toBe("ready");
    let slowestMs = 0;
    for (let i = 0; i < SIZES.exchanges; i++) {
      const sentAt = performance.now();
      child.stdin.write(`key ${i}\n`);
      await child.stdin.flush();
      expect((await lines.next()).value).toBe(`key ${i}`);
      slowestMs = Math.max(slowestMs, performance.now() - sentAt);
    }
    expect(slowestMs).toBeLessThan(SLOW_EXCHANGE_MS);
    // Ctrl-D, the terminal's end of input.
    child.stdin.write("\u0004");
    await child.stdin.flush();
    expect(await child.exited).toBe(0);
  } finally {
    child.kill();
  }
}

async function copies({ children, dir }: World, sshd: Sshd): Promise<void> {
  const local = join(dir, "local");
  const remote = join(dir, "remote");
  const back = join(dir, "back");
  await writePattern(local, SCP_BYTES);
  const scp = ["scp", "-q", "-F", sshd.clientConfig];
  for (const fromTo of [
    [local, `target:${remote}`],
    [`target:${remote}`, back],
  ]) {
    expect(await children.run([...scp, ...fromTo])).toMatchObject({ exitCode: 0, stderr: "" });
  }
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(back).stream()) hash.update(chunk);
  expect(hash.digest("hex")).toBe(patternHash(SCP_BYTES));
  for (const file of [local, remote, back]) rmSync(file);
}
