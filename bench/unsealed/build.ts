import { join, resolve } from "node:path";
import { buildExecutable } from "../../scripts/executable.ts";

const PRIMITIVES = resolve(import.meta.dir, "primitives.ts");
const FOLDER = "crypto/primitives/index.ts";

/** Builds rvpn with primitives that seal nothing, into `directory`; returns the path of the executable. */
export async function buildUnsealed(directory: string): Promise<string> {
  const outfile = join(directory, "rvpn-unsealed");
  let replaced = false;
  const { success, logs } = await buildExecutable({
    outfile,
    plugins: [
      {
        name: "unsealed",
        setup: (build) => {
          build.onResolve({ filter: /^\.\/native\.ts$/ }, ({ importer }) => {
            if (!importer.endsWith(FOLDER)) return undefined;
            replaced = true;
            return { path: PRIMITIVES };
          });
        },
      },
    ],
  });
  if (!success) throw new Error(`rvpn without sealing cannot be built: ${logs.map(String).join("; ")}`);
  // Else sealing would be compared with itself.
  if (!replaced) throw new Error(`no import of ./native.ts in ${FOLDER} was replaced`);
  return outfile;
}
