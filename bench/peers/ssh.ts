import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, listening } from "../lib/ports.ts";
import type { Daemon } from "../lib/processes.ts";
import { type Contestant, missingPrograms, programPath, type Setup } from "./contestant.ts";

/** `ssh -D` with the cipher that the two OpenSSH agree on by themselves. */
export const ssh: Contestant = { ...sshContestant("ssh -D", []), fullOnly: true };

/** The fastest cipher of OpenSSH on machines with AES instructions, and the base of all ratios. */
export const sshGcm = sshContestant("ssh -D gcm", ["-c", "aes128-gcm@openssh.com"]);

function sshContestant(name: string, cipher: readonly string[]): Contestant {
  return {
    name,
    role: "peer",
    missing: () => missingPrograms("ssh", "sshd", "ssh-keygen"),
    async start(setup) {
      const directory = join(setup.directory, name.replaceAll(" ", ""));
      mkdirSync(directory, { mode: 0o700 });
      const { processes } = setup;
      const server = await startSshd(setup, directory);
      const socksPort = freePort();
      const client = processes.daemon(name.replaceAll(" ", ""), [
        "ssh",
        ...["-N", "-D", `127.0.0.1:${socksPort}`, "-F", "none", ...cipher],
        ...["-p", String(await setup.lay(server.port)), "-i", join(directory, "user")],
        ...options({
          IdentitiesOnly: "yes",
          IdentityAgent: "none",
          BatchMode: "yes",
          LogLevel: "ERROR",
          StrictHostKeyChecking: "accept-new",
          UserKnownHostsFile: join(directory, "known_hosts"),
        }),
        `${await processes.capture(["id", "-un"])}@127.0.0.1`,
      ]);
      return { socksPort, client: [client], server: [server.daemon] };
    },
  };
}

/** An sshd of our own, with keys made for this run, that lets in exactly our client. */
async function startSshd(setup: Setup, directory: string): Promise<{ daemon: Daemon; port: number }> {
  const { processes } = setup;
  for (const key of ["host", "user"]) {
    await processes.capture(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(directory, key)]);
  }
  const authorized = join(directory, "authorized_keys");
  writeFileSync(authorized, await Bun.file(join(directory, "user.pub")).text());
  chmodSync(authorized, 0o600);
  // sshd started by root gives up privileges in here; the packages make it only when the service starts.
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const port = freePort();
  const daemon = processes.daemon(`sshd-${port}`, [
    programPath("sshd"),
    ...["-D", "-e", "-f", "/dev/null", "-p", String(port), "-h", join(directory, "host")],
    ...options({
      ListenAddress: "127.0.0.1",
      PidFile: "none",
      AuthorizedKeysFile: authorized,
      // The directory lies in a temporary one, which others may write to.
      StrictModes: "no",
      UsePAM: "no",
      PasswordAuthentication: "no",
      PermitRootLogin: "prohibit-password",
      LogLevel: "ERROR",
    }),
  ]);
  await listening(port);
  return { daemon, port };
}

function options(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}
