import { afterAll, expect } from "bun:test";
import { CUTS, underCuts } from "./support/chaos-run.ts";
import { readLines } from "./support/read-lines.ts";
import { describeWith, LINKS, programsFor } from "./support/settings.ts";
import { type Sshd, startSshd } from "./support/sshd.ts";
import { useWorld, type World } from "./support/world.ts";

/** A fast typist, who does not wait for the echo. */
const LINE_MS = 40;
const MAX_LINES = 10_000;
/** Keystrokes need none of it; ssh's own start does not wait for it either. */
const RATE = 8_000_000;

for (const [title, clientArgs] of LINKS) {
  const programs = programsFor("direct", "ssh", "sshd", "ssh-keygen", "nc");
  describeWith(programs, `links are cut at random, ${title}`, () => {
    const it = useWorld({ route: "direct", chaos: true, clientArgs });
    let sshd: Sshd | undefined;
    afterAll(async () => {
      await sshd?.child.stop();
      sshd?.cleanUp();
    });
    it("an interactive ssh session lives on, and every line comes back in order", async (world) => {
      sshd = await startSshd(world.children, world.dir, world.client.proxy);
      await session(world, sshd, title);
    });
  });
}

async function session(world: World, sshd: Sshd, title: string): Promise<void> {
  const command = ["ssh", "-tt", "-F", sshd.clientConfig, "target", "stty -echo; echo ready; exec cat"];
  const child = Bun.spawn(command, {
    env: world.children.environment({}),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = readLines(child.stdout);
  try {
    expect((await lines.next()).value).toBe("ready");
    const { result: typed, cuts } = await underCuts(
      world,
      { what: `ssh, ${title}`, bytesPerSecond: RATE },
      async (cutsSoFar) => {
        let typed = 0;
        const echoes = (async () => {
          for (let line = 0; line < typed || cutsSoFar() < CUTS.least; line++)
            expect((await lines.next()).value).toBe(`line ${line}`);
        })();
        for (; cutsSoFar() < CUTS.least && typed < MAX_LINES; typed++) {
          child.stdin.write(`line ${typed}\n`);
          await child.stdin.flush();
          await Bun.sleep(LINE_MS);
        }
        // Nobody waits for an echo of more than was typed.
        child.stdin.write(`line ${typed++}\n`);
        await child.stdin.flush();
        await echoes;
        return typed;
      },
    );
    process.stderr.write(`chaos: ssh, ${title}: ${typed} lines typed and echoed in order\n`);
    expect(cuts).toBeGreaterThanOrEqual(CUTS.least);
    // Ctrl-D, the terminal's end of input.
    child.stdin.write("\u0004");
    await child.stdin.flush();
    expect(await child.exited).toBe(0);
  } finally {
    child.kill();
  }
}
