import { judge } from "../../src/server/site/conditions.ts";
import { selectRanges } from "../../src/server/site/ranges.ts";
import type { Resource } from "../../src/server/site/resource.ts";
import { pathOf, queryOf } from "../../src/server/site/target.ts";
import { plainRanges, plainVerdict } from "./site-oracle.ts";
import { refusable, type Target, textBytes, words } from "./target.ts";

/** What strangers may ask the web site: each is read a second time, by the oracle. */

const RESOURCE: Resource = {
  etag: '"dgrfgc4oee4gi"',
  modifiedMs: Date.UTC(2026, 2, 1, 12, 0, 0, 700),
  type: "text/css",
  size: 18,
  content: new Uint8Array(18),
};
const UNDATED: Resource = { ...RESOURCE, modifiedMs: 0 };
const SIZES = [0, 1, 18, 1_000];

/** As Bun hands on the bytes of a header. */
const latin1 = (input: Uint8Array) => Buffer.from(input).toString("latin1");

const ranges: Target = {
  name: "the site's ranges",
  corpus: words(
    ...["bytes=0-2", "bytes=-2", "bytes=3-", "bytes=0-1,3-4", "bytes= 0 - 2 , -1", "bytes=0-17,0-17"],
    ...[
      "bytes=+0-4",
      "bytes=0--0",
      "bytes=-0",
      "bytes=999-abc",
      "bytes=0-9223372036854775807",
      "bytes=5-2,999-",
    ],
  ),
  words: words(
    ...[
      "bytes=",
      "-",
      "--",
      ",",
      ", ",
      " ",
      "\t",
      "+",
      "0",
      "17",
      "18",
      "999",
      "00000000000000000000",
      "x",
      "\xa0",
    ],
    ...["9223372036854775807", "9223372036854775808", "99999999999999999999"],
  ),
  check(input) {
    const header = latin1(input);
    for (const size of SIZES) {
      const selection = selectRanges(header, size);
      if (!Bun.deepEquals(selection, plainRanges(header, size)))
        throw new Error(`of ${size} bytes: ${JSON.stringify(selection)}`);
      if (selection.kind !== "ranges") continue;
      const isWithin = selection.ranges.every(({ start, end }) => 0 <= start && start <= end && end <= size);
      if (!isWithin) throw new Error("a range leaves the file");
    }
  },
};

const DATES = [
  ...["Sun, 01 Mar 2026 12:00:00 GMT", "Sunday, 01-Mar-26 12:00:00 GMT", "Sun Mar  1 12:00:00 2026"],
  ...["Sat, 30 Feb 2030 0:00:00.5 GMT", "Fri, 31 Dec 1999 23:59:59 GMT", "Sun Feb 29 00:00:00 2032"],
];
const TAGS = [RESOURCE.etag, `W/${RESOURCE.etag}`, `"a", ${RESOURCE.etag}`, '"a", *', '* , "a"', '"\xff"*'];
const FIELDS = ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"];

const conditions: Target = {
  name: "the site's conditions",
  corpus: FIELDS.flatMap((field) => [...DATES, ...TAGS].map((value) => textBytes(`${field}: ${value}`))),
  words: words(
    ...FIELDS.map((field) => `\n${field}: `),
    ...[
      ...DATES,
      ...TAGS,
      ", ",
      " ",
      "\t",
      "*",
      '"',
      "W/",
      "GMT",
      "gmt",
      "CEST",
      "Jan",
      "feb",
      "31",
      "00",
      "24",
      "60",
      ":",
    ],
    ...[",5", ".9", "\xa0", "-", "+"],
  ),
  check(input) {
    const headers = new Headers();
    for (const line of latin1(input).split("\n")) {
      const colon = line.indexOf(":");
      // Not every line can be a header, and then it reaches nobody.
      refusable([TypeError], () => headers.append(line.slice(0, colon), line.slice(colon + 1)));
    }
    for (const resource of [RESOURCE, UNDATED]) {
      const verdict = judge(headers, resource);
      if (verdict !== plainVerdict(headers, resource)) throw new Error(`is judged ${verdict}`);
    }
  },
};

const target: Target = {
  name: "the site's target",
  corpus: words(
    ...[
      "http://localhost/a/../b?c#d",
      "http://h:99999/nope",
      "http://[::1//x:99999/",
      "//h:x/..",
      "/\\..\\%2e%2e/",
      "*",
    ],
  ),
  words: words("http://", "//", ":99999", "[", "]", "@", "?", "#", "\\", "%2e", "..", "%", "\xff"),
  check(input) {
    const url = latin1(input);
    const [path, query] = [pathOf(url), queryOf(url)];
    if (!path.startsWith("/") || /[?#]/.test(path)) throw new Error(`the path ${path}`);
    if (query !== "" && !query.startsWith("?")) throw new Error(`the query ${query}`);
    // The authority decides nothing, be it one that URL knows or not.
    const plain = url.replace(/^https?:\/\/[^/?#]*/, "");
    for (const host of ["http://localhost", "http://h:99999", "http://[::1"]) {
      if (plain.startsWith("/") && pathOf(`${host}${plain}`) !== path) throw new Error(`depends on ${host}`);
    }
  },
};

export const SITE_TARGETS: readonly Target[] = [ranges, conditions, target];
