import { afterAll, expect } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Caddy, startCaddy } from "./support/caddy.ts";
import { exchange } from "./support/raw-http.ts";
import { ALLOW_LOOPBACK } from "./support/rvpn.ts";
import { describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

const site = mkdtempSync(join(tmpdir(), "rvpn-site-"));
for (const path of ["sub", "empty"]) mkdirSync(join(site, path));
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  "index.html": "<!doctype html><title>Home</title>",
  "sub/index.html": "<!doctype html><title>Sub</title>",
  "style.css": "body { margin: 0 }",
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
afterAll(() => rmSync(site, { recursive: true, force: true }));

const AT_ONCE = 8;

/** Methods and paths with headers that matter to a file server. */
const QUESTIONS: readonly (readonly [line: string, ...headers: string[]])[] = [
  ...[
    "/",
    "/index.html",
    "/sub/",
    "/sub",
    "/empty",
    "/empty/",
    "/missing",
    "/style.css/",
    "//style.css",
    "//sub",
  ],
  ...[
    "/sub/../style.css",
    "/sub/%2e%2e/style.css",
    "/sub%2f..%2fstyle.css",
    "/sub\\..\\style.css",
    "/%00",
    "/%ff",
  ],
  ...["/%zz", "/..%2f..%2fetc/passwd", "/style.css?a=b", "/#x", "/a%20b.txt", `/${"a".repeat(300)}`],
  ...Object.keys(FILES).map((name) => `/${encodeURI(name)}`),
].map((path) => [`GET ${path}`] as const);
const CONDITIONS: readonly (readonly [line: string, ...headers: string[]])[] = [
  ["HEAD /"],
  ["HEAD /sub"],
  ["POST /sub"],
  ["POST /missing"],
  ["GET /empty.txt", "Range: bytes=0-1"],
  ["GET /film.mp4", "Range: bytes=500000-600000"],
  ["GET /style.css", "Content-Length: 3"],
  ...[
    ...["bytes=0-2", "bytes=-2", "bytes=3-", "bytes=99-", "bytes=0-1,3-4", "bytes=0-1,99-", "bytes=0-9,0-17"],
    ...[
      "bytes=",
      "bytes=,",
      "items=0-1",
      "bytes=5-2",
      "bytes=a-b",
      "bytes=-0",
      "bytes= 0 - 2 ",
      "bytes=0-1,x",
    ],
  ].flatMap((range) => [
    ["GET /style.css", `Range: ${range}`] as const,
    ["HEAD /style.css", `Range: ${range}`] as const,
  ]),
  ...[
    ...["If-None-Match: *", 'If-None-Match: "a"', "If-Match: *", 'If-Match: "a"', 'If-Range: "a"'],
    "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
    "If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT",
    "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT",
    "If-Modified-Since: nonsense",
  ].map((condition) => ["GET /style.css", condition, "Range: bytes=0-1"] as const),
];

describeWith(programsFor("caddy"), "the site behind Caddy", () => {
  const it = useWorld({ route: "caddy", serverArgs: [...ALLOW_LOOPBACK, "--decoy", site] });
  it("answers as Caddy's own file server does", answersAlike);
});

async function answersAlike(world: World): Promise<void> {
  const dir = join(world.dir, "files");
  mkdirSync(dir);
  const fileServer = await startCaddy(world.children, dir, world.server.port, serveFiles);
  const different: string[] = [];
  const waiting = [...QUESTIONS, ...CONDITIONS];
  const worker = async () => {
    for (let question = waiting.shift(); question !== undefined; question = waiting.shift()) {
      const [line, ...headers] = question;
      const text = [`${line} HTTP/1.1`, "Host: localhost", ...headers, "", ""].join("\r\n");
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
