import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AWAY, HERE } from "../../tests/support/far-away.ts";
import type { Running } from "../lib/running.ts";
import { median } from "../lib/stats.ts";
import type { Figure } from "./inside.ts";
import type { Inside } from "./page.ts";

const FAR_AWAY = join(import.meta.dir, "../../tests/support/far-away.ts");
const ROUND_TRIP_MS = 50;

/** Sends requests one after another, a curl each, and counts what they cost the origin. */
export async function measureFar(contestants: readonly Running[], inside: Inside): Promise<Figure[]> {
  const { processes, directory, isQuick } = inside;
  const far = processes.spawn([process.execPath, FAR_AWAY, `${ROUND_TRIP_MS}`], { stdout: "pipe" });
  if (!(far.stdout instanceof ReadableStream)) throw new Error("the far host has no pipe");
  for await (const _ of far.stdout) break;
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  const request = [
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=far",
  ];
  await processes.capture([...request, "-keyout", key, "-out", cert]);
  const accepted = { count: 0 };
  const tls = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  const https = Bun.serve({ hostname: HERE, port: 443, tls, fetch: () => new Response("far") });
  const http = listen(accepted);
  const figures: Figure[] = [];
  const requests = isQuick ? 10 : 50;
  for (let round = 0; round < (isQuick ? 1 : 3); round += 1)
    for (const running of contestants) {
      const overTls = await many(running, inside, requests, `https://${AWAY}/`, "socks5h");
      accepted.count = 0;
      const plain = await many(running, inside, requests, `http://${AWAY}:8000/`, "http");
      const origins = accepted.count;
      for (const [key, value] of Object.entries({ tls: overTls, http: plain, origins }))
        figures.push({ name: running.name, key, value });
    }
  await https.stop(true);
  http.stop(true);
  return figures;
}

/** On a port that nothing is connected ahead to: what is saved is what the client kept. */
function listen(accepted: { count: number }): Bun.TCPSocketListener<undefined> {
  return Bun.listen({
    hostname: HERE,
    port: 8_000,
    socket: {
      open: () => {
        accepted.count += 1;
      },
      // curl's requests come in one piece.
      data: (socket, bytes) => {
        const closes = /^connection: close/im.test(bytes.toString());
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n${closes ? "Connection: close\r\n" : ""}\r\nfar`,
        );
        if (closes) socket.end();
      },
    },
  });
}

/** The median of what curl took, in ms. */
async function many(running: Running, inside: Inside, count: number, url: string, scheme: string) {
  const { socksPort } = running.ends;
  const proxy = socksPort === undefined ? [] : ["--proxy", `${scheme}://127.0.0.1:${socksPort}`];
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const command = ["curl", "-q", "-sS", "-k", ...proxy, "-o", "/dev/null", "-w", "%{time_total}", url];
    times.push(Number(await inside.processes.capture(command)) * 1_000);
  }
  return median(times);
}
