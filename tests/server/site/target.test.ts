import { expect, test } from "bun:test";
import { connect } from "node:net";
import { pathOf, queryOf } from "../../../src/server/site/target.ts";

test.each([
  ["http://localhost/a/../b%2fc?q#f", "/b%2fc", "?q"],
  ["http://vpn.example.org:99999/nope", "/nope", ""],
  ["http://h:65536/a/%2e%2e/b/", "/b/", ""],
  ["http://h:x/a\\b?c?d", "/a/b", "?c?d"],
  ["http://[::1/nope?q=http://h/", "/nope", "?q=http://h/"],
  ["http://h%zz//x:99999/nope", "//x:99999/nope", ""],
  ["http://h:99999?q", "/", "?q"],
  ["/nope", "/nope", ""],
  ["//style.css", "//style.css", ""],
  ["///h:99999/nope/../x", "///h:99999/x", ""],
  ["/http://h/nope", "/http://h/nope", ""],
  ["*", "/*", ""],
])("of %s", (url, path, query) => {
  expect(pathOf(url)).toBe(path);
  expect(queryOf(url)).toBe(query);
});

/** What Bun makes of it, for the notations above are its own. */
test("the Host of a request does not decide what is found", async () => {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => new Response(pathOf(url), { headers: { Connection: "close" } }),
  });
  const ask = (lines: string) => {
    const answer = Promise.withResolvers<string>();
    let text = "";
    const socket = connect(server.port ?? 0, "127.0.0.1", () => socket.write(`${lines}\r\n\r\n`));
    socket.on("data", (bytes) => {
      text += bytes;
    });
    socket.on("end", () => answer.resolve(text.split("\r\n\r\n")[1] ?? ""));
    return answer.promise;
  };
  const hosts = ["localhost", "h:99999", "h:65536", "h:x", "[::1", "h%zz", "a b[", "h/x", "u@h", "h?x", ""];
  for (const host of hosts) {
    for (const path of ["/nope", "//style.css", "//h:99999/nope"]) {
      expect([host, await ask(`GET ${path} HTTP/1.1\r\nHost: ${host}`)]).toEqual([host, path]);
    }
  }
  expect(await ask("GET //style.css HTTP/1.0")).toBe("//style.css");
  await server.stop(true);
});
