import { resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");

export interface ExecutableOptions {
  readonly outfile: string;
  /** Bun's name of a platform; this one unless given. */
  readonly target?: string;
  readonly plugins?: Bun.BunPlugin[];
}

/**
 * Builds rvpn. Bytecode halves the start of a program of this size. Splitting keeps `rvpn --version` as fast as an empty
 * program: one bundle would load every system module that any command imports. What a file in the working directory
 * could change is switched off: Bun would else run the preload of ./bunfig.toml and read ./.env, and the server may run
 * as root anywhere.
 */
export function buildExecutable({
  outfile,
  target,
  plugins = [],
}: ExecutableOptions): Promise<Bun.BuildOutput> {
  return Bun.build({
    entrypoints: [resolve(ROOT, "src/cli.ts")],
    format: "esm",
    target: "bun",
    bytecode: true,
    splitting: true,
    throw: false,
    plugins,
    compile: {
      outfile,
      autoloadBunfig: false,
      autoloadDotenv: false,
      autoloadTsconfig: false,
      autoloadPackageJson: false,
      // Bun checks the name when it looks for the runtime of that platform, and says which names it knows.
      ...(target === undefined ? {} : { target: target as Bun.Build.CompileTarget }),
    },
  });
}
