import { resolve } from "node:path";
import type { OriginPorts, Report } from "../origin/ports.ts";
import type { Child, Children } from "./children.ts";

const ENTRY = resolve(import.meta.dir, "../origin/main.ts");

/** The running origin, as a test sees it. */
export class Origin {
  readonly child: Child;
  readonly ports: OriginPorts;

  constructor(child: Child, ports: OriginPorts) {
    this.child = child;
    this.ports = ports;
  }

  /** The URL of a page, for a program that names the host like this. */
  url(path: string, host = "127.0.0.1"): string {
    return `http://${host}:${this.ports.http}${path}`;
  }

  /** What `finFirst` has read so far; asked for directly, not through the tunnel. */
  async reports(): Promise<readonly Report[]> {
    const response = await fetch(this.url("/reports"));
    return (await response.json()) as readonly Report[]; // Our own process made it from Report[].
  }
}

export async function startOrigin(children: Children): Promise<Origin> {
  const child = children.start("origin", [process.execPath, ENTRY]);
  const [line] = await child.waitFor(/^\{.*\}$/m);
  return new Origin(child, JSON.parse(line) as OriginPorts); // Printed by origin/main.ts, one key per server.
}
