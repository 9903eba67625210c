import type { Ran, RunOptions } from "./children.ts";
import type { World } from "./world.ts";

/**
 * A shell pipeline in which `$NC PORT` is OpenBSD netcat to the origin's port through the client, with -N: after its
 * input ended it shuts its sending side down and goes on reading, a half-close as ssh and many others do it.
 */
export function pipeline(world: World, script: string, options: RunOptions = {}): Promise<Ran> {
  const nc = `nc -N -X 5 -x ${world.client.proxy} 127.0.0.1`;
  return world.children.run(["bash", "-o", "pipefail", "-c", script], {
    ...options,
    env: { ...options.env, NC: nc },
  });
}
