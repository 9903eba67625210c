import { describe, expect, setDefaultTimeout, test } from "bun:test";
import decodeQr from "qr/decode.js";
import { drawQr, type Screen } from "../../src/cli/qr.ts";
import { seededRandom } from "../proto/support/random.ts";
import { inviteLink } from "./support/links.ts";
import { commandLine, environment, rvpn, useScratch } from "./support/transcript.ts";

setDefaultTimeout(60_000);

const freshDir = useScratch();
const PIXELS = 4;
const BLACK_ON_WHITE = "\u001b[38;5;16;48;5;231m";

interface Picture {
  readonly width: number;
  readonly height: number;
  /** Rows of pixels, true for light; as a dark terminal shows them. */
  readonly light: readonly (readonly boolean[])[];
}

/** What a camera sees of a drawing on a terminal: characters are two modules high, colors as the sequences say. */
function picture(drawing: string, around = 3): Picture {
  const rows: boolean[][] = [];
  for (const line of drawing.trimEnd().split("\n")) {
    const colored = line.startsWith(BLACK_ON_WHITE);
    const cells = [...Bun.stripANSI(line)];
    const isLight = (half: string) => cells.map((cell) => (cell === "█" || cell === half) !== colored);
    rows.push(isLight("▀"), isLight("▄"));
  }
  const width = Math.max(...rows.map((row) => row.length)) + 2 * around;
  const blank = () => Array.from({ length: around }, () => Array<boolean>(width).fill(false));
  const padded = rows.map((row) => [
    ...Array<boolean>(around).fill(false),
    ...row,
    ...Array<boolean>(width - around - row.length).fill(false),
  ]);
  const light = [...blank(), ...padded, ...blank()];
  return { width, height: light.length, light };
}

function scan({ width, height, light }: Picture): string {
  const data = new Uint8Array(width * height * PIXELS * PIXELS * 4).fill(255);
  for (let y = 0; y < height * PIXELS; y++) {
    for (let x = 0; x < width * PIXELS; x++) {
      const value = light[Math.floor(y / PIXELS)]?.[Math.floor(x / PIXELS)] === true ? 255 : 0;
      data.fill(value, (y * width * PIXELS + x) * 4, (y * width * PIXELS + x) * 4 + 3);
    }
  }
  return decodeQr({ width: width * PIXELS, height: height * PIXELS, data });
}

const anywhere: Screen = { columns: undefined, rows: undefined, colors: true };
const random = seededRandom("qr");
const linkFor = (host: string) =>
  `wss://${host}/#${random(85).toBase64({ alphabet: "base64url", omitPadding: true })}`;

describe("a drawn link", () => {
  const links = [
    linkFor("a.b"),
    linkFor("vpn.example.org"),
    linkFor(`${"long-label.".repeat(20)}example.org`),
    linkFor("xn--bcher-kva.example:8443"),
  ];
  test.each(links)("can be read back by a camera, in colors and without: %p", (link) => {
    for (const colors of [true, false]) {
      const { drawing = "", note } = drawQr(link, { ...anywhere, colors });
      expect(note).toBeUndefined();
      expect(scan(picture(drawing))).toBe(link);
    }
  });

  test("that is the longest a link can be fits into a code", () => {
    const link = `wss://h/${"p".repeat(2_048 - 8 - 115)}#${linkFor("h").split("#")[1]}`;
    const { drawing = "" } = drawQr(link, anywhere);
    expect(scan(picture(drawing))).toBe(link);
  });

  test.each([true, false])("has a light margin of four modules on every side (colors %p)", (colors) => {
    const { light } = picture(drawQr(links[1] ?? "", { ...anywhere, colors }).drawing ?? "", 0);
    const size = light[0]?.length ?? 0;
    expect(size).toBeGreaterThan(29);
    const isMargin = (x: number, y: number) => x < 4 || y < 4 || x >= size - 4 || y >= size - 4;
    const dark = light
      .slice(0, size)
      .flatMap((row, y) => row.flatMap((lit, x) => (lit || !isMargin(x, y) ? [] : [[x, y]])));
    expect(dark).toEqual([]);
  });

  test("is not scanned when a module in seven is wrong: the decoder does look", () => {
    const { drawing = "" } = drawQr(links[1] ?? "", { ...anywhere, colors: false });
    const { light, ...size } = picture(drawing);
    const spoilt = light.map((row, y) =>
      row.map((lit, x) => (x > 12 && y > 12 && (x * 5 + y * 3) % 7 === 0 ? !lit : lit)),
    );
    expect(() => scan({ ...size, light: spoilt })).toThrow();
  });
});

describe("a terminal", () => {
  const link = linkFor("vpn.example.org");
  const { drawing: whole = "" } = drawQr(link, anywhere);
  const lines = whole.trimEnd().split("\n").length;
  const width = picture(whole, 0).width;

  test("of 80 columns is wide enough for a usual link", () => {
    expect(width).toBeLessThanOrEqual(80);
    expect(lines).toBe(Math.ceil(width / 2));
  });

  test("that is too narrow gets a sentence and no wrapped garbage", () => {
    expect(drawQr(link, { ...anywhere, columns: width - 1, rows: 100 })).toEqual({
      note: `the QR code is ${width} columns wide and this terminal ${width - 1}: make it wider, or its letters smaller`,
    });
    expect(drawQr(link, { ...anywhere, columns: width, rows: 100 })).toEqual({ drawing: whole });
  });

  test("that is too low gets the code, which can be scrolled, and a sentence", () => {
    const { drawing, note } = drawQr(link, { ...anywhere, columns: 80, rows: lines });
    expect(drawing).toBe(whole);
    expect(note).toStartWith(`the QR code is ${lines} lines high and this terminal ${lines}`);
  });
});

describe("rvpn invite --qr", () => {
  const serverState = async () => {
    const dir = freshDir();
    await rvpn(["keygen", "--state", dir]);
    return dir;
  };
  const args = (dir: string) => [
    "invite",
    "laptop",
    "--qr",
    "--url",
    "wss://vpn.example.org/",
    "--state",
    dir,
  ];

  test("prints the link alone on stdout, and draws it on stderr", async () => {
    const { exitCode, stdout, stderr } = await rvpn(args(await serverState()));
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^wss:\S+#[\w-]+\n$/)]);
    expect(stderr).not.toContain("\u001b");
    expect(
      scan(
        picture(
          stderr
            .split("\n")
            .filter((line) => /^[ █▀▄]{20,}$/.test(line))
            .join("\n"),
        ),
      ),
    ).toBe(stdout.trim());
    expect(stderr).toContain('rvpn client --proxy 1080 "$LINK"');
  });

  test("prints JSON alone on stdout when that is asked for", async () => {
    const { stdout, stderr } = await rvpn([...args(await serverState()), "--json"]);
    const { link } = JSON.parse(stdout);
    expect(scan(picture(stderr))).toBe(link);
  });

  test.each([
    [100, 50],
    [40, 50],
  ])("on a terminal of %d columns", async (columns, rows) => {
    const { link, shown } = await onTerminal(args(await serverState()), columns, rows);
    const drawn = shown.split("\n").filter((line) => line.startsWith(BLACK_ON_WHITE));
    if (columns < 50) {
      expect(drawn).toEqual([]);
      expect(shown).toMatch(/note: the QR code is \d+ columns wide and this terminal 40: /);
    } else expect(scan(picture(drawn.join("\n")))).toBe(link);
  });
});

/** Runs rvpn with stderr on a terminal of this size. */
async function onTerminal(args: readonly string[], columns: number, rows: number) {
  const decoder = new TextDecoder();
  let shown = "";
  const quoted = commandLine(args).map((word) => `'${word}'`);
  const out = `${freshDir()}/out`;
  const terminal = new Bun.Terminal({
    cols: columns,
    rows,
    data: (_, chunk) => {
      shown += decoder.decode(chunk, { stream: true });
    },
  });
  const child = Bun.spawn(["sh", "-c", `${quoted.join(" ")} >'${out}'`], {
    env: { ...environment(), TERM: "xterm-256color" },
    terminal,
  });
  expect(await child.exited).toBe(0);
  // What it wrote last may still be on its way.
  while (!shown.includes('"$LINK"')) await Bun.sleep(5);
  terminal.close();
  return { link: (await Bun.file(out).text()).trim(), shown: shown.replaceAll("\r", "") };
}

test("a link is what these tests say it is", () => {
  expect(linkFor("vpn.example.org")).toHaveLength(inviteLink("wss://vpn.example.org/").length);
});
