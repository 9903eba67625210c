import { expect, test } from "bun:test";
import { join } from "node:path";

const CHILD = join(import.meta.dir, "descriptors-child.ts");

test.skipIf(process.platform !== "linux")(
  "a state file is written, a dial begun and the addresses of this machine read though sockets have taken every descriptor that they may have",
  async () => {
    const child = Bun.spawn(["sh", "-c", `ulimit -n 100; exec "${process.execPath}" "${CHILD}"`], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    // A quarter of 100 is our own, and a quarter of the rest for dials; afterwards nobody else may have them either.
    expect([errors, output]).toEqual(["", "left 75, full at 57, written, dialled, full, addresses known\n"]);
  },
);
