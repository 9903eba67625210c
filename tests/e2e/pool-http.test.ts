import { afterAll, beforeAll, beforeEach, describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chaosOf } from "./support/chaos-run.ts";
import type { Ran } from "./support/children.ts";
import { curl, through } from "./support/curl.ts";
import { pattern } from "./support/pattern.ts";
import { ALLOW_LOOPBACK } from "./support/rvpn.ts";
import { ok, type Reply, ScriptedOrigin, type SeenRequest } from "./support/scripted-origin.ts";
import { describeWith, FULL, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** Kept connections to origins of plain HTTP, with the built binary and curl. */
const REQUESTS = 50;
const AT_ONCE = FULL ? 200 : 60;
/** While links are cut: as many requests as it takes to meet so many cuts. */
const [LEAST_REQUESTS, LEAST_CUTS] = FULL ? [100, 30] : [30, 5];
const BIG_BYTES = FULL ? 500_000_000 : 20_000_000;

const CHUNKED = "Transfer-Encoding: chunked";
const NOT_KEPT = "the next request has a connection of its own";

let origin: ScriptedOrigin;
const big = Buffer.concat([...pattern(BIG_BYTES)]);
const bigHash = new Bun.CryptoHasher("sha256").update(big).digest("hex");

beforeAll(() => {
  origin = new ScriptedOrigin(
    (request) => SCRIPT[request.path.split("?")[0] ?? ""]?.(request) ?? echo(request),
  );
});
afterAll(() => origin.stop());
beforeEach(() => origin.clear());

function echo({ method, path, body }: SeenRequest): Reply {
  const text = `${method} ${path} ${body.length}`;
  return { send: method === "HEAD" ? `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n` : ok(text) };
}

/** What the origin says, by path. */
const SCRIPT: Readonly<Record<string, (request: SeenRequest) => Reply>> = {
  "/chunked": () => ({
    send: `HTTP/1.1 200 OK\r\n${CHUNKED}\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n`,
  }),
  "/204": () => ({ send: "HTTP/1.1 204 No Content\r\n\r\n" }),
  "/304": () => ({ send: 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 1000\r\n\r\n' }),
  "/103": () => ({
    send: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok("late")}`,
  }),
  "/close": () => ({ send: ok("bye", "Connection: close"), end: "close" }),
  "/1.0": () => ({ send: "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", end: "close" }),
  "/1.0-kept": () => ({ send: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold" }),
  "/no-length": () => ({ send: "HTTP/1.1 200 OK\r\n\r\nuntil the end", end: "close" }),
  "/both": () => ({
    send: `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n${CHUNKED}\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    end: "close",
  }),
  "/bare-lf": () => ({ send: "HTTP/1.1 200 OK\nContent-Length: 6\n\nsloppy", end: "close" }),
  "/garbage": () => ({ send: `${ok("true")}${ok("smuggled")}` }),
  "/ntlm": () => ({
    send: 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x", NTLM\r\nContent-Length: 0\r\n\r\n',
  }),
  "/negotiate": () => ({
    send: "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
  }),
  "/brief": () => ({ send: ok("brief", "Keep-Alive: timeout=1") }),
  "/closes-later": () => ({ send: ok("now"), end: "close" }),
  "/silent": () => ({ send: "", end: "close" }),
  "/reset": () => ({ send: "", end: "reset" }),
  /** Answers the first request of a connection only. */
  "/once": (request) => (request.nth === 0 ? echo(request) : { send: "", end: "close" }),
  "/once-reset": (request) => (request.nth === 0 ? echo(request) : { send: "", end: "reset" }),
  "/once-408": (request) =>
    request.nth === 0
      ? echo(request)
      : {
          send: "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
          end: "close",
        },
  "/slow": ({ path }) => ({ send: ok(path), afterMs: 5 + Math.floor(Math.random() * 30) }),
  "/big": () => ({
    send: Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n`), big]),
  }),
  "/big-chunked": () => ({ send: chunked(big) }),
  "/hash": ({ body }) => ({ send: ok(new Bun.CryptoHasher("sha256").update(body).digest("hex")) }),
};

function chunked(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from(`HTTP/1.1 200 OK\r\n${CHUNKED}\r\n\r\n`)];
  for (let offset = 0; offset < bytes.length; offset += 300_007) {
    const chunk = bytes.subarray(offset, offset + 300_007);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

function get(world: World, path: string, ...args: readonly string[]): Promise<Ran> {
  return curl(world, ...through(world, "http"), ...args, origin.url(path));
}

/** The connections that the requests since the last `clear` came on. */
const used = () => origin.seen.map(({ connection }) => connection);

describeWith(programsFor("direct"), "kept connections to origins", () => {
  const it = useWorld({ route: "direct" });

  it(`${REQUESTS} requests from as many connections of the application use at most 3`, async (world) => {
    for (let n = 0; n < REQUESTS; n++) expect((await get(world, `/${n}`)).stdout).toBe(`GET /${n} 0`);
    process.stderr.write(`pool: ${REQUESTS} requests over ${new Set(used()).size} origin connections\n`);
    expect(new Set(used()).size).toBeLessThanOrEqual(3);
    expect(origin.seen[0]?.head).toMatch(/^Connection: keep-alive$/m);
    expect((await get(world, "/x", "-i")).stdout).not.toMatch(/^Connection:/im);
    expect((await get(world, "/x", "-i", "-H", "Connection: close")).stdout).toMatch(
      /^Connection: close\r$/m,
    );
  });

  describe("a response that is understood, then another on the same connection", () => {
    const KEPT: readonly (readonly [path: string, args: readonly string[], status: number, body: string])[] =
      [
        ["/chunked", [], 200, "hello world"],
        ["/head", ["-I"], 200, ""],
        ["/204", [], 204, ""],
        ["/304", [], 304, ""],
        ["/103", [], 200, "late"],
        ["/post", ["-d", "a=b"], 200, "POST /post 3"],
        ["/put", ["-X", "PUT", "-d", "a=b", "-H", "Expect: 100-continue"], 200, "PUT /put 3"],
        ["/basic", ["-u", "ann:secret"], 200, "GET /basic 0"],
      ];
    for (const [path, args, status, body] of KEPT) {
      it(path, async (world) => {
        const ran = await get(world, path, ...args, "-w", "%{stderr}%{http_code}");
        expect([ran.exitCode, ran.stderr]).toEqual([0, `${status}`]);
        if (path !== "/head") expect(ran.stdout).toBe(body);
        expect((await get(world, "/after")).stdout).toBe("GET /after 0");
        const [first, second] = used();
        expect(second).toBe(first as number); // Both were seen, or it would not be equal.
      });
    }
  });

  describe(`a response after which ${NOT_KEPT}`, () => {
    const UNKEPT: readonly (readonly [path: string, args: readonly string[], body: string])[] = [
      ["/close", [], "bye"],
      ["/1.0", [], "old"],
      ["/1.0-kept", [], "old"],
      ["/no-length", [], "until the end"],
      ["/both", [], "abc"],
      ["/bare-lf", [], "sloppy"],
      ["/garbage", [], "true"],
      ["/ntlm", [], ""],
      ["/negotiate", [], ""],
      ["/brief", [], "brief"],
      ["/asks-with-ntlm", ["-H", "Authorization: NTLM TlRMTVNTUAABAAAA"], "GET /asks-with-ntlm 0"],
      ["/asks-with-spnego", ["-H", "Authorization: Negotiate YII="], "GET /asks-with-spnego 0"],
      ["/asks-with-unknown", ["-H", "Authorization: Something x"], "GET /asks-with-unknown 0"],
      ["/http-1.0", ["--http1.0"], "GET /http-1.0 0"],
      ["/upgrade", ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"], "GET /upgrade 0"],
    ];
    for (const [path, args, body] of UNKEPT) {
      it(path, async (world) => {
        const ran = await get(world, path, "--max-time", "5", ...args);
        expect([ran.stdout, ran.stderr]).toEqual([body, ""]);
        expect((await get(world, "/after")).stdout).toBe("GET /after 0");
        const [first, second] = used();
        expect(second).not.toBe(first as number); // Both were seen: their bodies came.
      });
    }
  });

  it("what authenticates a connection goes over a new one that ends with it", async (world) => {
    await get(world, "/warm");
    await get(world, "/mine", "-H", "Authorization: NTLM TlRMTVNTUAADAAAA");
    const [warm, mine] = origin.seen;
    expect(mine?.connection).not.toBe(warm?.connection as number); // Both were seen.
    expect(mine?.head).toMatch(/^Connection: close$/m);
  });

  it("an origin that closes its idle connection: the next request has a new one", async (world) => {
    const before = (await poolOf(world)).repeated;
    for (let n = 0; n < 5; n++) expect((await get(world, "/closes-later")).stdout).toBe("now");
    // This origin hears requests that cross its end, and leaves them unanswered.
    expect(origin.seen).toHaveLength(5 + (await poolOf(world)).repeated - before);
  });

  for (const path of ["/once", "/once-reset", "/once-408"])
    it(`a connection that ends as a request comes (${path}): it is sent again, once`, async (world) => {
      await get(world, "/warm-not");
      const before = (await poolOf(world)).repeated;
      origin.clear();
      expect((await get(world, path)).stdout).toBe(`GET ${path} 0`);
      expect((await get(world, path)).stdout).toBe(`GET ${path} 0`);
      const repeated = (await poolOf(world)).repeated - before;
      expect(repeated).toBeGreaterThan(0);
      expect(origin.seen).toHaveLength(2 + repeated);
    });

  for (const path of ["/silent", "/reset"])
    for (const method of ["GET", "POST", "PATCH"])
      it(`no answer at all to ${method} (${path}): one attempt on a new connection, and 502`, async (world) => {
        // The kept connection, if any, goes to this.
        await get(world, "/close");
        origin.clear();
        const ran = await get(world, path, "-X", method, "-w", "%{stderr}%{http_code}");
        expect(ran).toMatchObject({ exitCode: 0, stderr: "502" });
        expect(ran.stdout).toContain("the connection was lost before there was an answer");
        expect(origin.seen.map(({ method: seen }) => seen)).toEqual([method]);
      });

  it("a POST is never sent over a connection that might be closed, and never twice", async (world) => {
    await get(world, "/once");
    const [{ connection } = { connection: -1 }] = origin.seen;
    expect((await get(world, "/once", "-d", "a=b")).stdout).toBe("POST /once 3");
    expect(origin.seen).toHaveLength(2);
    expect(origin.seen[1]?.connection).not.toBe(connection);
  });

  it(`${AT_ONCE} requests at once: no connection is used by two, and each has its own answer`, async (world) => {
    for (let round = 0; round < 3; round++) {
      const paths = Array.from({ length: AT_ONCE }, (_, n) => `/slow?${round}.${n}`);
      const fileOf = (path: string) => join(world.dir, path.replaceAll(/\W/g, "_"));
      const urls = paths.flatMap((path) => ["-o", fileOf(path), origin.url(path)]);
      // Immediately: else curl waits whether the first connection could carry all of them, which ends with its response.
      const args = ["--parallel", "--parallel-immediate", "--parallel-max", "40"];
      const ran = await curl(world, ...through(world, "http"), ...args, ...urls);
      expect(ran.exitCode).toBe(0);
      for (const path of paths) expect(readFileSync(fileOf(path), "latin1")).toBe(path);
    }
    expect(origin.violations).toEqual([]);
    expect(origin.mostAtOnce).toBeGreaterThan(10);
    expect(new Set(used()).size).toBeLessThan(3 * AT_ONCE);
  });

  it("large bodies both ways, with a length and in chunks", async (world) => {
    for (const path of ["/big", "/big-chunked", "/big"]) {
      const script = `curl -q -sS -x http://${world.client.proxy} --noproxy "" ${origin.url(path)} | sha256sum`;
      const ran = await world.children.run(["bash", "-o", "pipefail", "-c", script]);
      expect([ran.exitCode, ran.stdout.slice(0, 64)]).toEqual([0, bigHash]);
    }
    expect(new Set(used()).size).toBe(1);
  });

  it("an upload goes up whole", async (world) => {
    const body = big.subarray(0, 5_000_000);
    const file = `${world.dir}/upload`;
    await Bun.write(file, body);
    const ran = await get(world, "/hash", "-T", file);
    expect(ran.stdout).toBe(new Bun.CryptoHasher("sha256").update(body).digest("hex"));
  });

  it("what is kept is gone four seconds later, at the origin and here", async (world) => {
    await get(world, "/last");
    expect((await poolOf(world)).kept).toBeGreaterThan(0);
    await world.client.awaitStatus(({ streams }) => streams === 0, 12_000);
    for (const end = performance.now() + 2_000; origin.open > 0; await Bun.sleep(10))
      expect(performance.now()).toBeLessThan(end);
    expect((await poolOf(world)).kept).toBe(0);
  });
});

describeWith(programsFor("direct"), "kept connections and the server", () => {
  const off = useWorld({ route: "direct", clientArgs: ["--pool", "off"] });
  off("--pool off: every request has a connection of its own", async (world) => {
    for (let n = 0; n < 3; n++) await get(world, `/${n}`);
    expect(new Set(used()).size).toBe(3);
    expect(origin.seen[0]?.head).toMatch(/^Connection: close$/m);
  });

  const it = useWorld({ route: "direct" });
  it("a server that is killed and comes back: the next request is answered", async (world) => {
    await get(world, "/before");
    const { server, rvpn } = world;
    server.child.signal("SIGKILL");
    await server.child.exited;
    await rvpn.startServer([...ALLOW_LOOPBACK, "--listen", `127.0.0.1:${server.port}`], server.state);
    expect((await get(world, "/after")).stdout).toBe("GET /after 0");
  });
});

describeWith(programsFor("direct"), "kept connections while links are cut", () => {
  const it = useWorld({ route: "direct", chaos: true });
  it("every request is answered, and every POST reaches the origin once", async (world) => {
    const chaos = chaosOf(world);
    const stop = chaos.cutAtRandom({ minMs: 40, maxMs: 150, random: Math.random });
    const sent: string[] = [];
    for (let n = 0; n < LEAST_REQUESTS || chaos.counts.cuts < LEAST_CUTS; n++) {
      const [path, args] = n % 2 === 0 ? [`/get?${n}`, []] : [`/post?${n}`, ["-d", "a=b"]];
      const ran = await get(world, path, ...args);
      sent.push(path);
      expect(ran.stdout).toBe(n % 2 === 0 ? `GET ${path} 0` : `POST ${path} 3`);
    }
    stop();
    expect(origin.seen.map(({ path }) => path)).toEqual(sent);
    process.stderr.write(
      `pool: ${sent.length} requests under ${chaos.counts.cuts} cuts, ` +
        `${new Set(used()).size} origin connections\n`,
    );
  });
});

interface Pool {
  readonly kept: number;
  readonly reused: number;
  readonly repeated: number;
}

async function poolOf({ rvpn, client }: World): Promise<Pool> {
  const text = await rvpn.must(["status", "--json", "--state", client.state]);
  const { pool } = JSON.parse(text) as { pool: Pool }; // ClientStatus, which the command prints.
  return pool;
}
