/**
 * Step 1 of the journey: the program starts here, and ends here with the one exit code that a command returned.
 *
 * `--version` is answered before anything is loaded, so that it costs no more than the start of an empty program;
 * all the rest lives in chunks of its own (scripts/build.ts splits the bundle) that load when a command wants them.
 */
import { version } from "../package.json";

const rawArgs = process.argv.slice(2);

if (rawArgs.length === 1 && rawArgs[0] === "--version") {
  await Bun.write(Bun.stdout, `${version}\n`).catch(() => process.exit(1));
} else {
  const { main } = await import("./cli/main.ts");
  process.exit(await main(rawArgs));
}
