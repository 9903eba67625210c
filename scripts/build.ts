/** Builds the executable: `bun run build [--target bun-linux-arm64] [--out dist/rvpn]`. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildExecutable } from "./executable.ts";

const root = resolve(import.meta.dir, "..");
const { values } = parseArgs({
  options: {
    target: { type: "string" },
    out: { type: "string", default: resolve(root, "dist/rvpn") },
  },
});
const outfile = resolve(values.out);

function progress(text: string): void {
  process.stderr.write(`build: ${text}\n`);
}

progress(values.target === undefined ? outfile : `${outfile} for ${values.target}`);
const started = performance.now();
const result = await buildExecutable({
  outfile,
  ...(values.target === undefined ? {} : { target: values.target }),
});
for (const message of result.logs) progress(String(message));
if (!result.success) process.exit(1);
progress(`${(Bun.file(outfile).size / 1e6).toFixed(1)} MB in ${Math.round(performance.now() - started)} ms`);
