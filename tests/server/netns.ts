import { expect } from "bun:test";

const MARK = "RVPN_TEST_NETNS";

/** Whether this process is already inside a network of its own. */
export const isInside = process.env[MARK] === "1";

/** Whether a test may make a network of its own: Linux, root, iproute2, and a kernel that lets us. */
export const canIsolate =
  process.platform === "linux" &&
  process.getuid?.() === 0 &&
  Bun.which("ip") !== null &&
  Bun.which("unshare") !== null &&
  Bun.spawnSync(["unshare", "--net", "--mount", "true"]).exitCode === 0;

/**
 * Runs a test file again in network and mount namespaces of its own, which end with the process: whatever it does to
 * addresses, routes, firewall and /etc/resolv.conf, and wherever it connects to, this machine sees nothing of it.
 */
export async function runInside(file: string): Promise<void> {
  const child = Bun.spawn(["unshare", "--net", "--mount", process.execPath, "test", file], {
    env: { ...process.env, [MARK]: "1" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect(code, `${output}\n${errors}`).toBe(0);
}

/** Runs commands, one a line, and throws at the first that fails. */
export function sh(commands: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-e", "-c", commands]);
  if (exitCode !== 0) throw new Error(`${commands}\n${stderr.toString()}`);
}
