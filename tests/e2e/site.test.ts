import { afterAll, expect } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Caddy, startCaddy } from "./support/caddy.ts";
import { exchange } from "./support/raw-http.ts";
import { ALLOW_LOOPBACK } from "./support/rvpn.ts";
import { describeWith, programsFor } from "./support/settings.ts";
import { CHANGED, siteQuestions } from "./support/site-questions.ts";
import { useWorld, type World } from "./support/world.ts";

const site = mkdtempSync(join(tmpdir(), "rvpn-site-"));
for (const path of ["sub", "empty"]) mkdirSync(join(site, path));
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  "index.html": "<!doctype html><title>Home</title>",
  "sub/index.html": "<!doctype html><title>Sub</title>",
  "style.css": "body { margin: 0 }",
  "1970.css": "body { margin: 0 }",
  "main.js": "void 0;",
  "data.json": "{}",
  "feed.xml": "<a/>",
  "a b.txt": "text",
  "empty.txt": "",
  "picture.png": new Uint8Array(300),
  "picture.svg": "<svg/>",
  "paper.pdf": new Uint8Array(300),
  "film.mp4": new Uint8Array(1_000_000),
  "font.woff2": new Uint8Array(300),
  "archive.zip": new Uint8Array(100_000),
};
for (const [name, content] of Object.entries(FILES)) writeFileSync(join(site, name), content);
utimesSync(join(site, "style.css"), CHANGED, CHANGED);
utimesSync(join(site, "1970.css"), 0, 0);
afterAll(() => rmSync(site, { recursive: true, force: true }));

const AT_ONCE = 8;

describeWith(programsFor("caddy"), "the site behind Caddy", () => {
  const it = useWorld({ route: "caddy", serverArgs: [...ALLOW_LOOPBACK, "--decoy", site] });
  it("answers as Caddy's own file server does", answersAlike);
});

async function answersAlike(world: World): Promise<void> {
  const dir = join(world.dir, "files");
  mkdirSync(dir);
  const fileServer = await startCaddy(world.children, dir, world.server.port, serveFiles);
  const different: string[] = [];
  const waiting = [...siteQuestions(Object.keys(FILES))];
  const worker = async () => {
    for (let question = waiting.shift(); question !== undefined; question = waiting.shift()) {
      const [line, ...headers] = question;
      const host = headers.some((header) => header.startsWith("Host:")) ? [] : ["Host: localhost"];
      const text = [`${line} HTTP/1.1`, ...host, ...headers, "", ""].join("\r\n");
      const ask = async (caddy: Caddy | undefined) => comparable(await exchange({ ...world, caddy }, [text]));
      const [ours, theirs] = await Promise.all([ask(world.caddy), ask(fileServer)]);
      if (ours !== theirs) different.push(`${line} ${headers}\n${ours}\n--- instead of\n${theirs}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  expect(different).toEqual([]);
}

/** The same configuration with Caddy's file server where rvpn was. */
function serveFiles(config: string): string {
  const edited = config.replace(/reverse_proxy [^{]*\{[^}]*\}/g, `root * ${site}\nfile_server`);
  expect(edited).not.toContain("reverse_proxy");
  return edited;
}

/**
 * An answer without what a prober cannot compare or what docs/TESTING.md names as a known difference: the value of the
 * ETag (Caddy's own changes between its versions), the place of Content-Length, its absence where HEAD gets an error.
 */
function comparable({ text, end }: { readonly text: string; readonly end: string }): string {
  const [head = "", body = ""] = text.split("\r\n\r\n", 2);
  const [status = "", ...headers] = head
    .replace(/^etag: "[\da-z]+"$/gim, 'Etag: "*"')
    .replace(/^alt-svc: .*$/gim, "Alt-Svc: *")
    .split("\r\n");
  const rest = headers.filter((line) => !/^content-length: /i.test(line));
  const length = headers.filter((line) => body !== "" && /^content-length: /i.test(line));
  return [end, status, ...rest, ...length, body].join("\n");
}
