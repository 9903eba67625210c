/**
 * Runs every test and ends in one line, `N passed, N failed`: `bun run test [bun test arguments]`. Under CI a skipped
 * test is a failure, because there nothing that a test needs may be missing. A file left behind in the folder for
 * temporary ones is a failure everywhere.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, bun, ensureInstalled, print, run, say } from "./tools.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const MAX_FAILURE_LINES = 40;

await ensureInstalled();
if (process.env["RVPN_BIN"] === undefined) await build();
const directory = mkdtempSync(join(tmpdir(), "rvpn-test-"));
const report = join(directory, "report.xml");
// Short: the paths of Unix sockets in it have at most 107 bytes.
const temporary = join(directory, "t");
mkdirSync(temporary);
// A test that gives up root for a moment has to find its own files in it.
for (const path of [directory, temporary]) chmodSync(path, 0o711);
try {
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
  const exitCode = await run([bun, "test", ...reporter, ...process.argv.slice(2)], { TMPDIR: temporary });
  const { counts, failures } = await readReport(report);
  const strict = process.env["CI"] === "true";
  const left = readdirSync(temporary);
  const whole = exitCode !== 0 && counts.failed === 0 ? 1 : 0;
  const failed = counts.failed + (strict ? counts.skipped : 0) + whole + (left.length > 0 ? 1 : 0);
  for (const failure of failures) say(failure);
  if (left.length > 0) say(`left behind in the folder for temporary files: ${left.join(", ")}`);
  if (counts.skipped > 0) say(`${counts.skipped} skipped${strict ? ", which counts as failed here" : ""}`);
  print(`${counts.passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || counts.passed === 0 ? 1 : 0;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** What a JUnit report says. A run that wrote none has failed as a whole. */
async function readReport(path: string): Promise<{ counts: Counts; failures: string[] }> {
  const xml = await Bun.file(path)
    .text()
    .catch(() => "");
  const head = /<testsuites[^>]*>/.exec(xml)?.[0] ?? "";
  const count = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  const skipped = count("skipped");
  const counts = { passed: count("tests") - failed - skipped, failed, skipped };
  return { counts, failures: readFailures(xml) };
}

/** Each failure again with its name: where only the end of a long output is kept, it is in that. */
function readFailures(xml: string): string[] {
  const cases = /<testcase name="([^"]*)"[^>]*file="([^"]*)"[^>]*>\s*<failure[^>]*>([^<]*)</g;
  return [...xml.matchAll(cases)].map(([, name = "", file = "", text = ""]) => {
    const lines = unescapeXml(text).trimEnd().split("\n");
    return [`failed: ${unescapeXml(name)}, in ${file}`, ...lines.slice(0, MAX_FAILURE_LINES)].join("\n");
  });
}

function unescapeXml(text: string): string {
  const named: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code: string | undefined, name: string | undefined) =>
    code === undefined ? (named[name ?? ""] ?? whole) : String.fromCodePoint(Number(code)),
  );
}
