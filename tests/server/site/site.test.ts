import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtInSite, directorySite, type Site } from "../../../src/server/site.ts";

const dir = mkdtempSync(join(tmpdir(), "rvpn-site-"));
const root = join(dir, "www");
const LARGE = 3 * 64 * 1024;
const MODIFIED = new Date("2026-03-01T12:00:00.700Z");
for (const path of ["www/sub", "www/.git", "www/.well-known", "www/empty"])
  mkdirSync(join(dir, path), { recursive: true });
const put = (path: string, content: string | Uint8Array) => writeFileSync(join(dir, path), content);
put("secret.txt", "secret");
put("www/index.html", "<p>home");
put("www/sub/index.html", "<p>sub");
put("www/s.css", "0123456789");
put("www/a b.txt", "space");
put("www/.git/config", "secret");
put("www/.well-known/security.txt", "contact");
put("www/none", "x");
put("www/1970.css", "0123456789");
utimesSync(join(root, "1970.css"), 0, 0);
put(
  "www/large.css",
  new Uint8Array(LARGE).map((_, index) => index),
);
utimesSync(join(root, "s.css"), MODIFIED, MODIFIED);
symlinkSync(join(dir, "secret.txt"), join(root, "link.txt"));
symlinkSync(dir, join(root, "up"));
symlinkSync("s.css", join(root, "same.css"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const site = directorySite(root);

const NOBODY = 65_534;

/** What `run` gives where the mode of a file counts, as it does not for root. */
async function unprivileged<T>(run: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return await run();
  process.seteuid?.(NOBODY);
  try {
    return await run();
  } finally {
    process.seteuid?.(0);
  }
}

async function ask(path: string, headers: Record<string, string> = {}, method = "GET", of: Site = site) {
  const response = await of.respond(new Request(`http://host${path}`, { method, headers }));
  return { status: response.status, headers: response.headers, body: await response.text() };
}

describe("a directory as a site", () => {
  test.each([
    ["/", "<p>home", "text/html; charset=utf-8"],
    ["/index.html", "<p>home", "text/html; charset=utf-8"],
    ["/sub/", "<p>sub", "text/html; charset=utf-8"],
    ["/s.css", "0123456789", "text/css; charset=utf-8"],
    ["/same.css", "0123456789", "text/css; charset=utf-8"],
    ["//sub/../s.css?query#part", "0123456789", "text/css; charset=utf-8"],
    ["/sub%2f..%2fs.css", "0123456789", "text/css; charset=utf-8"],
    ["/a%20b.txt", "space", "text/plain; charset=utf-8"],
    ["/.well-known/security.txt", "contact", "text/plain; charset=utf-8"],
    ["/none", "x", "application/octet-stream"],
  ])("%s is served", async (path, body, type) => {
    const answer = await ask(path);
    expect(answer).toMatchObject({ status: 200, body });
    expect(answer.headers.get("content-type")).toBe(type);
    expect(answer.headers.get("accept-ranges")).toBe("bytes");
    expect(answer.headers.get("etag")).toMatch(/^"[\da-z]+"$/);
    expect(answer.headers.get("last-modified")).toMatch(/ GMT$/);
  });

  test.each([
    "/missing",
    "/s.css/",
    "/s.css/more",
    "/empty/",
    "/empty",
    "/.git/config",
    "/sub/../.git/config",
    "/%2egit/config",
    "/link.txt",
    "/up/secret.txt",
    "/up/",
    "/..%2fsecret.txt",
    "/%2e%2e/secret.txt",
    "/..%5csecret.txt",
    "/....//secret.txt",
    "/%ff",
  ])("%s is missing", async (path) => {
    expect(await ask(path)).toMatchObject({ status: 404, body: "" });
  });

  test.each([
    ["/%zz", 400],
    ["/s.css%00", 500],
    [`/${"a".repeat(300)}`, 500],
  ])("%s is status %d", async (path, status) => {
    expect(await ask(path)).toMatchObject({ status, body: "" });
  });

  test.each(["GET", "HEAD", "POST"])(
    "%s of what may not be read is forbidden, whatever else is asked",
    async (method) => {
      put("www/closed.css", "secret");
      for (const [path, mode] of [
        [dir, 0o755],
        [join(root, "closed.css"), 0o200],
      ] as const)
        chmodSync(path, mode);
      for (const headers of [{}, { "If-None-Match": "*" }, { Range: "bytes=99-" }]) {
        const answer = await unprivileged(() => ask("/closed.css", headers, method));
        expect(answer).toMatchObject({ status: 403, body: "" });
      }
      expect(await unprivileged(() => ask("/s.css"))).toMatchObject({ status: 200 });
      rmSync(join(root, "closed.css"));
    },
  );

  test.skipIf(process.platform !== "linux")(
    "a disk that fails in reading is an answer, and not an error",
    async () => {
      // It can be opened, and reading it is EIO.
      const failing = directorySite("/proc/self");
      expect(await ask("/mem", {}, "GET", failing)).toMatchObject({ status: 500, body: "" });
    },
  );

  test("a directory without its slash is a redirect, which cannot lead to another host", async () => {
    const answer = await ask("//sub?a=%20b");
    expect(answer.status).toBe(308);
    expect(answer.headers.get("location")).toBe("/sub/?a=%20b");
    expect(answer.body).toBe('<a href="/sub/?a=%20b">Permanent Redirect</a>.\n\n');
  });

  test("its own 404 page is shown", async () => {
    put("www/404.html", "<p>nothing");
    const answer = await ask("/missing");
    rmSync(join(root, "404.html"));
    expect(answer).toMatchObject({ status: 404, body: "<p>nothing" });
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("%s is not allowed", async (method) => {
    const answer = await ask("/s.css", {}, method);
    expect(answer).toMatchObject({ status: 405, body: "" });
    expect(answer.headers.get("allow")).toBe("GET, HEAD");
  });

  test("HEAD has the headers of GET and no body", async () => {
    const answer = await ask("/s.css", {}, "HEAD");
    expect(answer).toMatchObject({ status: 200, body: "" });
    expect(answer.headers.get("content-length")).toBe("10");
  });

  test("a published directory is followed when its link moves", async () => {
    const [a, b, current] = ["a", "b", "current"].map((name) => join(dir, name)) as [string, string, string]; // Three in, three out.
    for (const release of [a, b]) {
      mkdirSync(release);
      writeFileSync(join(release, "index.html"), release);
    }
    symlinkSync(a, current);
    const published = directorySite(current);
    expect((await ask("/", {}, "GET", published)).body).toBe(a);
    symlinkSync(b, `${current}.new`);
    renameSync(`${current}.new`, current);
    expect((await ask("/", {}, "GET", published)).body).toBe(b);
  });
});

describe("conditions", () => {
  const past = "Sun, 01 Mar 2026 11:59:59 GMT";
  const same = "Sun, 01 Mar 2026 12:00:00 GMT";
  const etag = async () => (await ask("/s.css")).headers.get("etag") ?? "";
  test.each([
    ["If-Modified-Since", past, 200],
    ["If-Modified-Since", same, 304],
    ["If-Modified-Since", "yesterday", 200],
    ["If-Unmodified-Since", past, 412],
    ["If-Unmodified-Since", same, 200],
    ["If-None-Match", "*", 304],
    ["If-None-Match", '"other"', 200],
    ["If-None-Match", '"a", *', 304],
    ["If-None-Match", '* , "a"', 304],
    ["If-None-Match", '"a"*', 304],
    ["If-None-Match", "a, *", 200],
    ["If-None-Match", '"a, *', 200],
    ["If-None-Match", "W/*", 200],
    ["If-Match", "*", 200],
    ["If-Match", '"other", *', 200],
    ["If-Match", '"other"', 412],
    ["If-Match", "other, *", 412],
    ["If-Match", "", 200],
  ])("%s: %s is status %d", async (name, value, status) => {
    const answer = await ask("/s.css", { [name]: value });
    expect(answer.status).toBe(status);
    expect(answer.body).toBe(status === 200 ? "0123456789" : "");
  });

  test("the ETag is known again, in a list and as a weak one", async () => {
    const tag = await etag();
    for (const list of [tag, `"a", ${tag}`, `W/${tag}`]) {
      expect((await ask("/s.css", { "If-None-Match": list })).status).toBe(304);
    }
    expect((await ask("/s.css", { "If-Match": tag })).status).toBe(200);
    expect((await ask("/s.css", { "If-Match": `W/${tag}` })).status).toBe(412);
    // RFC 9110 section 13.1.3: the date does not count beside an ETag.
    expect((await ask("/s.css", { "If-None-Match": '"a"', "If-Modified-Since": same })).status).toBe(200);
  });

  test("an empty one is none", async () => {
    expect((await ask("/s.css", { "If-None-Match": "", "If-Modified-Since": same })).status).toBe(304);
    expect((await ask("/s.css", { "If-Range": "", Range: "bytes=0-1" })).status).toBe(206);
  });

  test("no date counts for a file that has none", async () => {
    const never = "Thu, 01 Jan 1970 00:00:00 GMT";
    const answer = await ask("/1970.css", { "If-Modified-Since": same });
    expect(answer.status).toBe(200);
    expect(answer.headers.has("last-modified")).toBe(false);
    expect((await ask("/1970.css", { "If-Unmodified-Since": "Wed, 31 Dec 1969 23:59:59 GMT" })).status).toBe(
      200,
    );
    expect((await ask("/1970.css", { "If-Range": never, Range: "bytes=0-1" })).status).toBe(206);
  });

  test.each([
    [same, 206],
    [past, 200],
    ['"other"', 200],
    ["", 206],
  ])("If-Range: %s is status %d", async (value, status) => {
    expect((await ask("/s.css", { "If-Range": value, Range: "bytes=0-1" })).status).toBe(status);
    for (const tags of [await etag(), `${await etag()}, "other"`]) {
      expect((await ask("/s.css", { "If-Range": tags, Range: "bytes=0-1" })).status).toBe(206);
    }
  });
});

describe("ranges", () => {
  test.each([
    ["bytes=0-2", "012", "bytes 0-2/10"],
    ["bytes=8-", "89", "bytes 8-9/10"],
    ["bytes=8-99", "89", "bytes 8-9/10"],
    ["bytes=-2", "89", "bytes 8-9/10"],
    ["bytes=-99", "0123456789", "bytes 0-9/10"],
    ["bytes= 1 - 2 ", "12", "bytes 1-2/10"],
    ["bytes=0-0,99-", "0", "bytes 0-0/10"],
    ["bytes=+0-4", "01234", "bytes 0-4/10"],
    ["bytes=0-+4", "01234", "bytes 0-4/10"],
    ["bytes=-+2", "89", "bytes 8-9/10"],
    ["bytes=0--0", "0", "bytes 0-0/10"],
    ["bytes=8-9223372036854775807", "89", "bytes 8-9/10"],
    ["bytes=00000000000000000000008-", "89", "bytes 8-9/10"],
    ["bytes=,8-,", "89", "bytes 8-9/10"],
  ])("%s", async (range, body, contentRange) => {
    const answer = await ask("/s.css", { Range: range });
    expect(answer).toMatchObject({ status: 206, body });
    expect(answer.headers.get("content-range")).toBe(contentRange);
  });

  test.each([
    ...["items=0-1", "bytes=a-b", "bytes=2-1", "bytes=-", "bytes=1", "bytes=0-1,x", "bytes=0 1-"],
    ...["bytes=-0-4", "bytes=0--4", "bytes=--0", "bytes=1e0-", "bytes=0x1-", "bytes=1_0-", "bytes=\u00a01-"],
    ...["bytes=0-99999999999999999999", "bytes=-99999999999999999999", "bytes=99999999999999999999-"],
    ...["bytes=0-9223372036854775808", "bytes=999-abc,x"],
  ])("%s is invalid", async (range) => {
    const answer = await ask("/s.css", { Range: range });
    expect(answer).toMatchObject({ status: 416, body: "invalid range\n" });
    expect(answer.headers.has("content-range")).toBe(false);
  });

  test.each(["bytes=10-", "bytes=999-abc", "bytes=20-19", "bytes=9223372036854775807-"])(
    "%s is beyond the end",
    async (range) => {
      const answer = await ask("/s.css", { Range: range });
      expect(answer).toMatchObject({ status: 416, body: "invalid range: failed to overlap\n" });
      expect(answer.headers.get("content-range")).toBe("bytes */10");
    },
  );

  test("several make a multipart body, and more than the whole make the whole", async () => {
    const answer = await ask("/s.css", { Range: "bytes=0-1,-2" });
    expect(answer.status).toBe(206);
    const boundary = /^multipart\/byteranges; boundary=(\w{60})$/.exec(
      answer.headers.get("content-type") ?? "",
    )?.[1];
    const part = (range: string, bytes: string) =>
      `--${boundary}\r\nContent-Range: bytes ${range}/10\r\nContent-Type: text/css; charset=utf-8\r\n\r\n${bytes}\r\n`;
    expect(answer.body).toBe(`${part("0-1", "01")}${part("8-9", "89")}--${boundary}--\r\n`);
    expect(await ask("/s.css", { Range: "bytes=0-9,0-9" })).toMatchObject({
      status: 200,
      body: "0123456789",
    });
  });
});

test("a large file over HTTP: whole, in part, with a range that does not count", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => site.respond(request) });
  const get = async (headers: Record<string, string>) => {
    const response = await fetch(new URL("/large.css", server.url), { headers });
    return { status: response.status, bytes: await response.bytes() };
  };
  const whole = new Uint8Array(LARGE).map((_, index) => index);
  expect(await get({})).toEqual({ status: 200, bytes: whole });
  expect(await get({ Range: "bytes=5-99999" })).toEqual({ status: 206, bytes: whole.subarray(5, 100_000) });
  expect(await get({ Range: "bytes=5-9", "If-Range": '"old"' })).toEqual({ status: 200, bytes: whole });
  expect(await get({ Range: "bytes=0-1,5-6" })).toEqual({ status: 200, bytes: whole });
  await server.stop(true);
});

describe("the built-in site", () => {
  const builtIn = (seed: number) => builtInSite(new Uint8Array(32).fill(seed));
  const home = (of: Site) => ask("/", {}, "GET", of);
  test("is one page with a date and a tag of its own", async () => {
    const [first, again, other] = [await home(builtIn(1)), await home(builtIn(1)), await home(builtIn(2))];
    expect(first).toMatchObject({ status: 200, body: "<html><body><h1>It works!</h1></body></html>\n" });
    for (const name of ["etag", "last-modified"]) {
      expect(again.headers.get(name)).toBe(first.headers.get(name));
      expect(other.headers.get(name)).not.toBe(first.headers.get(name));
    }
    expect(new Date(first.headers.get("last-modified") ?? "").getUTCFullYear()).toBe(2024);
  });
  test("knows conditions, ranges, methods and what it has not", async () => {
    const of = builtIn(1);
    expect((await ask("/", { "If-None-Match": "*" }, "GET", of)).status).toBe(304);
    expect(await ask("/", { Range: "bytes=0-5" }, "GET", of)).toMatchObject({ status: 206, body: "<html>" });
    expect((await ask("/", {}, "POST", of)).status).toBe(405);
    expect((await ask("/other", {}, "GET", of)).status).toBe(404);
  });
});
