import { mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "../../src/runtime/atomic-file.ts";
import { reserveDescriptors, withReserve } from "../../src/runtime/descriptors.ts";
import { OwnAddresses } from "../../src/server/own-addresses.ts";

/** For descriptors.test.ts: a process that has no descriptor left but the reserve. */
const dir = mkdtempSync(join(tmpdir(), "rvpn-reserve-"));
const said = [`left ${reserveDescriptors()}`];
for (;;) if (!opens()) break;
// Descriptors are given out from the lowest number.
const highest = withReserve("dials", () => openSync("/dev/null", "r"));
said.push(`full at ${highest}`);
writeFileAtomic(join(dir, "file"), "text");
said.push("written", withReserve("dials", opens) ? "dialled" : "refused", opens() ? "more" : "full");
said.push(new OwnAddresses().known ? "addresses known" : "addresses unknown");
withReserve("own", () => rmSync(dir, { recursive: true, force: true }));
writeSync(1, `${said.join(", ")}\n`);
process.exit(0);

function opens(): boolean {
  try {
    openSync("/dev/null", "r");
    return true;
  } catch {
    return false;
  }
}
