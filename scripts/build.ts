/**
 * Builds the executable: `bun run build [--target bun-linux-arm64] [--out dist/rvpn]`.
 *
 * Bytecode halves the start of a program of this size. Splitting keeps `rvpn --version` as fast as an empty program:
 * one bundle would load every system module that any command imports. What a file in the working directory could
 * change is switched off: Bun would else run the preload of ./bunfig.toml and read ./.env, and the server may run as
 * root anywhere.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";

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
const result = await Bun.build({
  entrypoints: [resolve(root, "src/cli.ts")],
  format: "esm",
  target: "bun",
  bytecode: true,
  splitting: true,
  throw: false,
  compile: {
    outfile,
    autoloadBunfig: false,
    autoloadDotenv: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
    // Bun checks the name when it looks for the runtime of that platform, and says which names it knows.
    ...(values.target === undefined ? {} : { target: values.target as Bun.Build.CompileTarget }),
  },
});
for (const message of result.logs) progress(String(message));
if (!result.success) process.exit(1);
progress(`${(Bun.file(outfile).size / 1e6).toFixed(1)} MB in ${Math.round(performance.now() - started)} ms`);
