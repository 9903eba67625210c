import encodeQr from "qr";

/** ISO/IEC 18004 asks for four light modules on every side, without which scanners do not find the code. */
const QUIET_ZONE = 4;
/** Black on white from the part of the palette that no theme changes: half of all terminals are dark. */
const BLACK_ON_WHITE = "\u001b[38;5;16;48;5;231m";
const PLAIN = "\u001b[0m";

/** Where a code is to be drawn. */
export interface Screen {
  /** Undefined if it is no terminal. */
  readonly columns: number | undefined;
  readonly rows: number | undefined;
  readonly colors: boolean;
}

/** A drawing, and what there is to say about it; no drawing if no scanner could read it. */
export interface QrDrawing {
  readonly drawing?: string;
  readonly note?: string;
}

/**
 * A QR code of `text`, two modules to a character. Without colors light modules are the ones that are drawn, as
 * terminals without colors are dark. RangeError if `text` is longer than a code can hold (2,953 bytes).
 */
export function drawQr(text: string, { columns, rows, colors }: Screen): QrDrawing {
  // The lowest correction: nothing on a screen is torn or dirty, and a smaller code fits where a larger would not.
  const modules = encodeQr(text, "raw", { ecc: "low", border: QUIET_ZONE });
  const width = modules.length;
  if (columns !== undefined && columns < width) {
    // Wrapped lines are no code any more, and half a screen of garbage.
    return {
      note: `the QR code is ${width} columns wide and this terminal ${columns}: make it wider, or its letters smaller`,
    };
  }
  const lines: string[] = [];
  for (let y = 0; y < width; y += 2) lines.push(lineOf(modules[y] ?? [], modules[y + 1], colors));
  const drawing = `${lines.join("\n")}\n`;
  if (rows === undefined || rows > lines.length) return { drawing };
  return {
    drawing,
    note: `the QR code is ${lines.length} lines high and this terminal ${rows}: make it higher to see all of it`,
  };
}

/** Two rows of modules, true for dark. Below the last row of an odd number of them there is nothing. */
function lineOf(top: readonly boolean[], bottom: readonly boolean[] | undefined, colors: boolean): string {
  const isDrawn = (dark: boolean | undefined) => dark !== undefined && dark === colors;
  const cells = top.map((dark, x) => halfBlock(isDrawn(dark), isDrawn(bottom?.[x])));
  return colors ? `${BLACK_ON_WHITE}${cells.join("")}${PLAIN}` : cells.join("");
}

function halfBlock(top: boolean, bottom: boolean): string {
  if (top) return bottom ? "█" : "▀";
  return bottom ? "▄" : " ";
}
