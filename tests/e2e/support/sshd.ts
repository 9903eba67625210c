import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child, Children } from "./children.ts";
import { freePort } from "./free-port.ts";
import { findProgram } from "./settings.ts";

/** sshd insists on this directory when it runs as root; its package makes it at boot. */
const PRIVILEGE_SEPARATION = "/run/sshd";

/** A real sshd on loopback with keys of its own, and a configuration for ssh that knows it. */
export interface Sshd {
  readonly child: Child;
  readonly port: number;
  /** For `ssh -F`; the host is called `target`. */
  readonly clientConfig: string;
  /** Takes away what starting it has left on the machine. */
  cleanUp(): void;
}

/** Starts it, reachable by ssh only through the SOCKS5 proxy at `proxy`. */
export async function startSshd(children: Children, dir: string, proxy: string): Promise<Sshd> {
  const home = join(dir, "ssh");
  mkdirSync(home, { mode: 0o700 });
  const [hostKey, userKey] = [join(home, "host_key"), join(home, "user_key")];
  for (const key of [hostKey, userKey]) {
    const made = await children.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
    if (made.exitCode !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
  }
  const port = freePort();
  const [config, clientConfig] = [join(home, "sshd_config"), join(home, "ssh_config")];
  writeFileSync(config, serverConfig(home, port));
  writeFileSync(clientConfig, configOfClient(home, port, proxy));
  await Bun.write(
    join(home, "known_hosts"),
    `[127.0.0.1]:${port} ${await Bun.file(`${hostKey}.pub`).text()}`,
  );
  const madeDirectory = makePrivilegeSeparation();
  // sshd wants its own absolute path to start itself again for each session.
  const child = children.start("sshd", [findProgram("sshd") ?? "sshd", "-D", "-e", "-f", config]);
  await child.waitFor(/Server listening on/);
  return { child, port, clientConfig, cleanUp: () => madeDirectory && rmdirSync(PRIVILEGE_SEPARATION) };
}

function makePrivilegeSeparation(): boolean {
  if (process.getuid?.() !== 0) return false;
  return mkdirSync(PRIVILEGE_SEPARATION, { recursive: true, mode: 0o755 }) !== undefined;
}

function serverConfig(home: string, port: number): string {
  return `
    ListenAddress 127.0.0.1
    Port ${port}
    HostKey ${home}/host_key
    AuthorizedKeysFile ${home}/user_key.pub
    PidFile none
    UsePAM no
    StrictModes no
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    PermitRootLogin prohibit-password
    PrintMotd no
    Subsystem sftp internal-sftp
  `;
}

function configOfClient(home: string, port: number, proxy: string): string {
  return `
    Host target
      HostName 127.0.0.1
      Port ${port}
      IdentityFile ${home}/user_key
      IdentitiesOnly yes
      IdentityAgent none
      UserKnownHostsFile ${home}/known_hosts
      GlobalKnownHostsFile none
      StrictHostKeyChecking yes
      BatchMode yes
      LogLevel ERROR
      ProxyCommand nc -X 5 -x ${proxy} %h %p
  `;
}
