/** A request line without its version, and headers. Without a Host among them it is the host that serves the site. */
export type Question = readonly [line: string, ...headers: string[]];

/** When `style.css` was changed: every comparison of dates is with it. */
export const CHANGED = new Date("2026-03-01T12:00:00.700Z");
const SAME = "Sun, 01 Mar 2026 12:00:00 GMT";
const BEFORE = "Sat, 01 Jan 2000 00:00:00 GMT";
const AFTER = "Fri, 01 Jan 2100 00:00:00 GMT";

const PATHS = [
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
  ...["/%zz", "/..%2f..%2fetc/passwd", "/style.css?a=b", "/#x", "/a%20b.txt", `/${"a".repeat(300)}`, "*"],
  ...["http://localhost/", "http://localhost/style.css", "http://localhost:99999/style.css"],
];

/** Hosts that are this one, and such as `URL` refuses. */
const HOSTS = ["localhost:99999", "localhost:65536", "localhost:x", "localhost:", "[::1", "other.example"];

const RANGES = [
  ...["bytes=0-2", "bytes=-2", "bytes=3-", "bytes=99-", "bytes=0-1,3-4", "bytes=0-1,99-", "bytes=0-9,0-17"],
  ...["bytes=", "bytes=,", "items=0-1", "bytes=5-2", "bytes=a-b", "bytes=-0", "bytes= 0 - 2 ", "bytes=0-1,x"],
  ...["bytes=0-99999999999999999999", "bytes=-99999999999999999999", "bytes=99999999999999999999-"],
  ...["bytes=0-9223372036854775807", "bytes=0-9223372036854775808", "bytes=9223372036854775807-"],
  ...[
    "bytes=+0-4",
    "bytes=0-+4",
    "bytes=-+4",
    "bytes=-0-4",
    "bytes=0--0",
    "bytes=0--4",
    "bytes=--4",
    "bytes=+-4",
  ],
  ...[
    "bytes=999-abc",
    "bytes=999-abc,x",
    "bytes=999-,0-1",
    "bytes=20-19",
    "bytes=18-",
    "bytes=17-",
    "bytes=0-0,-1",
  ],
  ...[
    "bytes=00000000000000000000001-",
    "bytes=0x1-",
    "bytes=1_0-",
    "bytes=1e1-",
    "bytes=0 1-",
    "bytes=\xa00-1",
  ],
  ...[
    "bytes",
    "Bytes=0-1",
    "bytes =0-1",
    "bytes=-",
    "bytes=0-1-",
    "bytes=,,0-1,",
    "bytes=0-1, bytes=3-4",
    "",
  ],
];

const DATES = [
  ...[
    SAME,
    BEFORE,
    AFTER,
    "Sun, 01 Mar 2026 11:59:59 GMT",
    "Sun, 01 Mar 2026 11:59:59.9 GMT",
    "nonsense",
    "",
  ],
  ...["Sat, 30 Feb 2030 00:00:00 GMT", "Tue, 1 Jan 2030 00:00:00 GMT", "Tue, 01 Jan 2030 0:00:00 GMT"],
  ...["Xyz, 01 Jan 2030 00:00:00 GMT", "Sat, 01 Jan 2030 00:00:00 GMT", "tue, 01 jan 2030 00:00:00 GMT"],
  ...["Tue, 01 Jan 2030 00:00:00 gmt", "Tue, 01 Jan 2030 24:00:00 GMT", "Tue, 01 Jan 2030 23:59:60 GMT"],
  ...[
    "Tue, 01 Jan 2030 00:00:00 UTC",
    "Tue, 01 Jan 2030 00:00:00 +0000",
    "Tue,  01  Jan  2030  00:00:00  GMT",
  ],
  ...["Tuesday, 01-Jan-30 00:00:00 GMT", "Tuesday, 01-Jan-30 00:00:00 CET", "Tuesday, 1-Jan-30 00:00:00 GMT"],
  ...["Tuesday, 01-Jan-69 00:00:00 GMT", "Tuesday, 01-Jan-68 00:00:00 GMT", "Tue, 01 Jan 30 00:00:00 GMT"],
  ...[
    "Tue Jan  1 00:00:00 2030",
    "Tue Jan 1 00:00:00 2030",
    "Sun Feb 29 00:00:00 2030",
    "2030-01-01T00:00:00Z",
  ],
  `${AFTER}, ${BEFORE}`,
];

const TAGS = [
  ...[
    "*",
    '"a"',
    '"a", *',
    '* , "a"',
    '"a"*',
    "a, *",
    'W/"a", *',
    "W/*",
    '"a, *',
    '"a b", *',
    ",,*",
    "**",
    "",
  ],
  '"\xff", *',
];

/** Of a header in two lines the first counts. */
const TWO_RANGES = [
  ["bytes=0-1", "bytes=3-4"],
  ["bytes=0-1", "3-4"],
  ["bytes=0-1", "x"],
  ["x", "bytes=0-1"],
  ["", "bytes=0-1"],
] as const;
const TWO_DATES = [
  [BEFORE, AFTER],
  [AFTER, BEFORE],
  [AFTER, "x"],
  ["x", AFTER],
] as const;
const TWO_TAGS = [
  ['"a"', "*"],
  ["*", '"a"'],
] as const;

const onFile = (...headers: string[]): Question => ["GET /style.css", ...headers];
const ofHead = (...headers: string[]): Question => ["HEAD /style.css", ...headers];

/** What to ask a site that has these files. */
export function siteQuestions(files: readonly string[]): readonly Question[] {
  const names = files.map((name) => `/${encodeURI(name)}`);
  return [
    ...[...PATHS, ...names].map((path): Question => [`GET ${path}`]),
    ...["/", "/sub", "*", "/missing"].map((path): Question => [`HEAD ${path}`]),
    ...["/sub", "*", "/missing"].map((path): Question => [`POST ${path}`]),
    ...HOSTS.flatMap((host) =>
      ["/", "/nope", "//style.css", "/sub/../style.css", "/sub"].map(
        (path): Question => [`GET ${path}`, `Host: ${host}`],
      ),
    ),
    ["OPTIONS *"],
    ["GET /film.mp4", "Range: bytes=500000-600000"],
    onFile("Content-Length: 3"),
    ...RANGES.map((range) => `Range: ${range}`).flatMap((range): Question[] => [
      onFile(range),
      ofHead(range),
      ["GET /empty.txt", range],
    ]),
    ...conditions().flatMap((condition) => [onFile(condition, "Range: bytes=0-1"), ofHead(condition)]),
    ...DATES.map((date): Question => ["GET /1970.css", `If-Modified-Since: ${date}`]),
    onFile('If-None-Match: "a"', `If-Modified-Since: ${AFTER}`),
    onFile("If-None-Match:", `If-Modified-Since: ${AFTER}`),
    onFile("If-Match: *", `If-Unmodified-Since: ${BEFORE}`),
    ["GET /missing", "If-None-Match: *"],
    ...repeated(),
  ];
}

function conditions(): string[] {
  return [
    ...DATES.flatMap((date) => [
      `If-Modified-Since: ${date}`,
      `If-Unmodified-Since: ${date}`,
      `If-Range: ${date}`,
    ]),
    ...TAGS.flatMap((tag) => [`If-None-Match: ${tag}`, `If-Match: ${tag}`, `If-Range: ${tag}`]),
  ];
}

function repeated(): Question[] {
  const lines = [
    ...TWO_RANGES.map(([first, second]) => ["Range", first, second] as const),
    ...TWO_DATES.flatMap(([first, second]) =>
      ["If-Modified-Since", "If-Unmodified-Since", "If-Range"].map((name) => [name, first, second] as const),
    ),
    ["If-Range", SAME, BEFORE] as const,
    ...TWO_TAGS.flatMap(([first, second]) =>
      ["If-None-Match", "If-Match"].map((name) => [name, first, second] as const),
    ),
  ];
  return lines.map(([name, first, second]) =>
    onFile(...(name === "If-Range" ? ["Range: bytes=0-1"] : []), `${name}: ${first}`, `${name}: ${second}`),
  );
}
