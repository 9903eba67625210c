import { type Processes, textOf } from "./processes.ts";
import type { Route } from "./wire.ts";

/** A transfer that takes this long hangs. */
const MAX_SECONDS = 120;
/** Told by -w, in this order. */
const FIELDS = "%{time_total} %{size_download} %{size_upload} %{http_code}";

export interface Transfer {
  readonly seconds: number;
  readonly downloaded: number;
  readonly uploaded: number;
}

export interface Background {
  readonly isRunning: boolean;
  end(): Promise<void>;
}

/** One stream as a user would have it: curl through SOCKS5, names left to the proxy. */
export class Curl {
  readonly #processes: Processes;

  constructor(processes: Processes) {
    this.#processes = processes;
  }

  /** Downloads `bytes` and throws them away. Throws when fewer or more arrive. */
  async download(route: Route, bytes: number): Promise<Transfer> {
    const transfer = await this.#measured(route, `/bytes/${bytes}`, []);
    if (transfer.downloaded !== bytes) throw new Error(`${transfer.downloaded} of ${bytes} bytes arrived`);
    return transfer;
  }

  /** Uploads a file. Throws when the origin does not count as many bytes as it has. */
  async upload(route: Route, file: string): Promise<Transfer> {
    const { size } = Bun.file(file);
    const transfer = await this.#measured(route, "/sink", ["-T", file]);
    if (transfer.uploaded !== size) throw new Error(`${transfer.uploaded} of ${size} bytes were sent`);
    return transfer;
  }

  async #measured(route: Route, path: string, args: readonly string[]): Promise<Transfer> {
    const output = await this.#processes.capture(
      command(route, path, [...args, "-o", "/dev/null", "-w", FIELDS]),
    );
    const [seconds = 0, downloaded = 0, uploaded = 0, code] = output.split(" ").map(Number);
    if (code !== 200) throw new Error(`the origin answered ${code}`);
    return { seconds, downloaded, uploaded };
  }

  /** A download that goes on until it is ended, in a process of its own: its work must not delay ours. */
  background(route: Route, path: string): Background {
    const child = this.#processes.spawn(command(route, path, ["-o", "/dev/null"]));
    return {
      get isRunning() {
        return child.exitCode === null;
      },
      end: () => this.#processes.end(child, "SIGKILL"),
    };
  }

  /** SHA-256 of what a download brings. */
  async hashOfDownload(route: Route, bytes: number): Promise<string> {
    const child = this.#processes.spawn(command(route, `/bytes/${bytes}`, []), { stdout: "pipe" });
    if (!(child.stdout instanceof ReadableStream)) throw new Error("curl's output is not a pipe");
    const hash = new Bun.CryptoHasher("sha256");
    for await (const chunk of child.stdout) hash.update(chunk);
    if ((await child.exited) !== 0) throw new Error(`curl ended with ${child.exitCode}`);
    return hash.digest("hex");
  }

  /** SHA-256 of what the origin got of an upload. */
  async hashOfUpload(route: Route, file: string): Promise<string> {
    const child = this.#processes.spawn(command(route, "/hash", ["-T", file]), { stdout: "pipe" });
    const hash = await textOf(child.stdout);
    if ((await child.exited) !== 0) throw new Error(`curl ended with ${child.exitCode}`);
    return hash.trim();
  }
}

function command({ port, socksPort }: Route, path: string, args: readonly string[]): string[] {
  const proxy = socksPort === undefined ? [] : ["--proxy", `socks5h://127.0.0.1:${socksPort}`];
  return [
    // -q: a user's .curlrc must not change what is measured. Expect would cost uploads a round trip or a second.
    ...["curl", "-q", "-sS", "--fail", "--noproxy", "", "--max-time", String(MAX_SECONDS), "-H", "Expect:"],
    ...proxy,
    ...args,
    `http://127.0.0.1:${port}${path}`,
  ];
}
