import type { Column, Results, Row } from "./results.ts";
import { median } from "./stats.ts";

/** Draws a result table: medians, the spread of the rounds behind them, and multiples of the base. */
export function renderResults(results: Results): string {
  const { title, columns, rows, notes, base } = results;
  const shown = columns.filter(({ key }) => rows.some(({ values }) => values.has(key)));
  const header = ["", ...shown.flatMap(headings)];
  const baseRow = rows.find(({ name }) => name === base);
  const lines = rows.map((row) => [
    row.failure === undefined ? row.name : `${row.name} (!)`,
    ...shown.flatMap((column) => cells(row, column, baseRow)),
  ]);
  const failures = rows.flatMap(({ name, failure }) =>
    failure === undefined ? [] : [`${name}: ${failure}`],
  );
  return [title, ...align([header, ...lines]), ...[...notes, ...failures].map((note) => `  ${note}`)].join(
    "\n",
  );
}

function headings({ title, unit, ratio }: Column): string[] {
  const heading = unit === "" ? title : `${title}, ${unit}`;
  return ratio === true ? [heading, "×base"] : [heading];
}

function cells(row: Row, column: Column, baseRow: Row | undefined): string[] {
  const values = row.values.get(column.key) ?? [];
  const middle = median(values);
  const cell = cellText(values, middle, column.plain === true);
  if (column.ratio !== true) return [cell];
  const baseMiddle = median(baseRow?.values.get(column.key) ?? []);
  const ratio = middle / baseMiddle;
  return [cell, Number.isFinite(ratio) ? ratio.toFixed(2) : "-"];
}

function cellText(values: readonly number[], middle: number, isPlain: boolean): string {
  if (values.length === 0) return "-";
  if (values.length === 1 || isPlain) return number(middle);
  return `${number(middle)} (${number(Math.min(...values))}-${number(Math.max(...values))})`;
}

/** Three significant digits, or the whole number where there are more. */
function number(value: number): string {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return size >= 0.1 ? value.toFixed(2) : value.toFixed(3);
}

/** The first column is text and stands left, the others are figures and stand right. */
function align(lines: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const line of lines) {
    for (const [index, cell] of line.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  return lines.map((line) => {
    const padded = line.map((cell, index) =>
      index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0),
    );
    return `  ${padded.join("  ")}`.trimEnd();
  });
}
