import { patternHash } from "../origin/pattern.ts";
import type { Curl } from "./curl.ts";
import type { Route } from "./wire.ts";

/** A fast proxy that changes bytes would win. `file` holds the pattern of `bytes`. It also warms everybody up. */
export async function verifyBytes(curl: Curl, route: Route, bytes: number, file: string): Promise<void> {
  const expected = patternHash(bytes);
  const down = await curl.hashOfDownload(route, bytes);
  if (down !== expected) throw new Error("wrong bytes arrived at the client");
  const up = await curl.hashOfUpload(route, file);
  if (up !== expected) throw new Error("wrong bytes arrived at the origin");
}
