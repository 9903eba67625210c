import { afterAll, beforeAll, beforeEach, expect } from "bun:test";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { curl, through } from "./support/curl.ts";
import { pattern } from "./support/pattern.ts";
import { ok, type Reply, ScriptedOrigin, type SeenRequest } from "./support/scripted-origin.ts";
import { describeWith, programsFor } from "./support/settings.ts";
import { useWorld, type World } from "./support/world.ts";

/** The application's connection to the proxy over several plain HTTP requests, with the built binary. */
const AT_ONCE = 60;
const BIG_BYTES = 8_000_000;
/** How many connections to the proxy each of curl's transfers needed. */
const CONNECTS = ["-w", "%{stderr}%{num_connects} "] as const;

let one: ScriptedOrigin;
let other: ScriptedOrigin;
const big = Buffer.concat([...pattern(BIG_BYTES)]);

beforeAll(() => {
  one = new ScriptedOrigin(answer);
  other = new ScriptedOrigin(answer);
});
afterAll(() => {
  one.stop();
  other.stop();
});
beforeEach(() => {
  one.clear();
  other.clear();
});

function answer({ method, path, body }: SeenRequest): Reply {
  switch (path) {
    case "/chunked":
      return { send: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" };
    case "/204":
      return { send: "HTTP/1.1 204 No Content\r\n\r\n" };
    case "/closes":
      return { send: ok("closes", "Connection: close"), end: "close" };
    case "/no-length":
      return { send: "HTTP/1.1 200 OK\r\n\r\nuntil the end", end: "close" };
    case "/big":
      return {
        send: Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${BIG_BYTES}\r\n\r\n`), big]),
      };
    case "/slow":
      return { send: ok(path), afterMs: 10 };
  }
  const text = `${method} ${path} ${body.length}`;
  return { send: method === "HEAD" ? `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n` : ok(text) };
}

describeWith(programsFor("direct"), "an application's connection to the proxy", () => {
  const it = useWorld({ route: "direct" });

  it("serves all URLs of one run of curl, whatever their origins", async (world) => {
    const urls = [
      one.url("/1"),
      one.url("/chunked"),
      other.url("/2"),
      one.url("/204"),
      other.url("/closes"),
      one.url("/3"),
    ];
    const ran = await curl(world, ...through(world, "http"), ...CONNECTS, ...urls);
    expect(ran).toMatchObject({
      exitCode: 0,
      stdout: "GET /1 0helloGET /2 0closesGET /3 0",
      stderr: "1 0 0 0 0 0 ",
    });
  });

  it("serves different methods", async (world) => {
    const next = ["--next", "-q", "-sS", "--noproxy", "", ...through(world, "http"), ...CONNECTS];
    const args = [
      ...["-d", "a=b", one.url("/post")],
      ...[...next, one.url("/get")],
      ...[...next, "-I", "-o", "/dev/null", one.url("/head")],
      ...[...next, "-X", "PUT", "-d", "abc", "-H", "Expect: 100-continue", one.url("/put")],
      ...[...next, one.url("/get")],
    ];
    const ran = await curl(world, ...through(world, "http"), ...CONNECTS, ...args);
    expect(ran).toMatchObject({ stdout: "POST /post 3GET /get 0PUT /put 3GET /get 0", stderr: "1 0 0 0 0 " });
  });

  it("ends behind a response that only its end ends, and where it is asked to", async (world) => {
    const urls = [one.url("/1"), one.url("/no-length"), one.url("/2")];
    const ended = await curl(world, ...through(world, "http"), ...CONNECTS, ...urls);
    expect(ended).toMatchObject({ stdout: "GET /1 0until the endGET /2 0", stderr: "1 0 1 " });
    const asked = await curl(
      world,
      ...through(world, "http"),
      ...CONNECTS,
      "-H",
      "Connection: close",
      ...urls,
    );
    expect(asked.stderr).toBe("1 1 1 ");
  });

  it("takes requests that do not wait for answers, from an application that reads slowly", async (world) => {
    const application = new SlowApplication(world);
    const requests = ["/big", "/1", "/big", "/chunked", "/2"];
    application.say(requests.map((path) => `GET ${one.url(path)} HTTP/1.1\r\n\r\n`).join(""));
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${BIG_BYTES}\r\n\r\n`;
    const small = `${ok("GET /1 0")}`;
    const end = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${ok("GET /2 0")}`;
    const expected = Buffer.concat([
      Buffer.from(head),
      big,
      Buffer.from(small + head),
      big,
      Buffer.from(end),
    ]);
    expect(await application.read(expected.length)).toBe(
      new Bun.CryptoHasher("sha256").update(expected).digest("hex"),
    );
    expect(one.violations).toEqual([]);
    application.leave();
  });

  it("holds no stream while it is idle, is asked again later, and ends with the client", async (world) => {
    const client = await world.rvpn.startClient({ link: await world.server.invite("idle") });
    const application = new SlowApplication({ client });
    application.say(`GET ${one.url("/1")} HTTP/1.1\r\n\r\n`);
    await application.read(ok("GET /1 0").length);
    await client.awaitStatus(({ streams }) => streams === 0, 12_000);
    application.say(`GET ${other.url("/2")} HTTP/1.1\r\n\r\n`);
    await application.read(ok("GET /2 0").length);
    const stopped = performance.now();
    client.child.signal("SIGTERM");
    expect(await application.ended).toBe("end");
    expect(await client.child.exitsWithin(5_000)).toBe(0);
    expect(performance.now() - stopped).toBeLessThan(5_000);
  });

  it(`${AT_ONCE} URLs at once, over kept connections and over one for each`, async (world) => {
    const outputs = Array.from({ length: AT_ONCE }, (_, n) => [
      "-o",
      join(world.dir, `out-${n}`),
      one.url("/slow"),
    ]).flat();
    const ways: readonly (readonly [name: string, args: readonly string[]])[] = [
      ["one after another", []],
      ["--parallel", ["--parallel"]],
      ["--parallel-immediate", ["--parallel", "--parallel-immediate"]],
    ];
    for (const [name, args] of ways) {
      const kept = await curl(
        world,
        ...through(world, "http"),
        "-w",
        "%{num_connects} ",
        ...args,
        ...outputs,
      );
      const closed = await curl(
        world,
        ...through(world, "http"),
        ...args,
        "-H",
        "Connection: close",
        ...outputs,
      );
      expect([kept.exitCode, closed.exitCode]).toEqual([0, 0]);
      const connects = kept.stdout.split(" ").reduce((sum, count) => sum + Number(count), 0);
      process.stderr.write(
        `keep-alive: curl, ${AT_ONCE} URLs ${name}: ${Math.round(kept.ms)} ms over ${connects} connections, ` +
          `${Math.round(closed.ms)} ms over ${AT_ONCE}\n`,
      );
      if (args.length === 0) expect(connects).toBe(1);
    }
    expect(one.violations).toEqual([]);
  });
});

describeWith(
  programsFor("direct"),
  "an application's connection with --pool off, and with a password",
  () => {
    const off = useWorld({ route: "direct", clientArgs: ["--pool", "off"] });
    off(
      "--pool off: it is kept all the same, and each request has its own connection to the origin",
      async (world) => {
        const urls = [one.url("/1"), one.url("/2"), one.url("/3")];
        const ran = await curl(world, ...through(world, "http"), ...CONNECTS, ...urls);
        expect(ran).toMatchObject({ stdout: "GET /1 0GET /2 0GET /3 0", stderr: "1 0 0 " });
        expect(new Set(one.seen.map(({ connection }) => connection)).size).toBe(3);
      },
    );

    const it = useWorld({ route: "direct", clientEnv: { RVPN_PROXY_AUTH: "ann:secret" } });
    it("each request shows its password", async (world) => {
      const urls = [one.url("/1"), one.url("/2")];
      const ran = await curl(world, ...through(world, "http"), ...CONNECTS, "-U", "ann:secret", ...urls);
      expect(ran).toMatchObject({ stdout: "GET /1 0GET /2 0", stderr: "1 0 " });
      const application = new SlowApplication(world);
      const auth = `Proxy-Authorization: Basic ${Buffer.from("ann:secret").toString("base64")}\r\n`;
      application.say(`GET ${one.url("/3")} HTTP/1.1\r\n${auth}\r\nGET ${one.url("/4")} HTTP/1.1\r\n\r\n`);
      await application.ended;
      expect(application.text).toStartWith(`${ok("GET /3 0")}HTTP/1.1 407 `);
      expect(one.seen.map(({ path }) => path)).toEqual(["/1", "/2", "/3"]);
    });
  },
);

describeWith(programsFor("direct", "wget"), "wget", () => {
  const it = useWorld({ route: "direct" });
  it("uses one connection for three files", async (world) => {
    const urls = ["/1", "/chunked", "/2"].map((path) => one.url(path));
    const env = { http_proxy: `http://${world.client.proxy}`, no_proxy: "", LC_ALL: "C" };
    const ran = await world.children.run(["wget", "--no-config", "-v", "-O", "-", ...urls], { env });
    expect([ran.exitCode, ran.stdout]).toEqual([0, "GET /1 0helloGET /2 0"]);
    expect(ran.stderr.match(/Reusing existing connection/g)).toHaveLength(2);
  });
});

/** Fifty requests over one connection of Python's own; `sock` is replaced when it had to connect again. */
const PYTHON = `
import http.client, sys
proxy, origin, other = sys.argv[1:]
connection = http.client.HTTPConnection(proxy, timeout=20)
connection.connect()
first = connection.sock
for n in range(50):
    method, body = [("GET", None), ("POST", b"x" * n), ("HEAD", None), ("DELETE", None)][n % 4]
    connection.request(method, (origin if n % 3 else other) + "/%d" % n, body)
    response = connection.getresponse()
    expected = "" if method == "HEAD" else "%s /%d %d" % (method, n, n if body is not None else 0)
    assert response.read().decode() == expected, n
    assert connection.sock is first, n
print("one connection")
`;

describeWith(programsFor("direct", "python3"), "python", () => {
  const it = useWorld({ route: "direct" });
  it("sends fifty requests over one connection", async (world) => {
    const ran = await world.children.run([
      "python3",
      "-c",
      PYTHON,
      world.client.proxy,
      one.url(""),
      other.url(""),
    ]);
    expect(ran).toMatchObject({ exitCode: 0, stdout: "one connection\n", stderr: "" });
  });
});

/** A connection to a client's proxy port that sends what it is told and reads a little at a time. */
class SlowApplication {
  readonly #socket: Socket;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #arrived = new Map<number, () => void>();
  #bytes = 0;
  #from = 0;
  /** What came, of short answers. */
  text = "";
  readonly ended: Promise<string>;

  constructor({ client }: Pick<World, "client">) {
    const [hostname = "", port = ""] = client.proxy.split(":");
    this.#socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    this.#socket.on("end", () => resolve("end"));
    this.#socket.on("error", ({ message }) => resolve(message));
    this.#socket.on("data", (bytes) => this.#heard(Buffer.from(bytes)));
  }

  say(text: string): void {
    this.#socket.write(text);
  }

  /** Waits for so many bytes more, and gives the hash of all so far. */
  async read(count: number): Promise<string> {
    this.#from += count;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#arrived.set(this.#from, resolve);
    if (this.#bytes >= this.#from) resolve();
    await promise;
    expect(this.#bytes).toBe(this.#from);
    return this.#hasher.copy().digest("hex");
  }

  leave(): void {
    this.#socket.destroy();
  }

  #heard(bytes: Buffer): void {
    this.#bytes += bytes.length;
    this.#hasher.update(bytes);
    if (this.text.length < 10_000) this.text += bytes.toString("latin1");
    for (const [count, resolve] of this.#arrived) if (this.#bytes >= count) resolve();
    // Slower than what comes: the client's window must fill.
    this.#socket.pause();
    setTimeout(() => this.#socket.resume(), 1);
  }
}
