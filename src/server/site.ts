import { builtInFiles } from "./site/built-in.ts";
import { directoryFiles, failureOf, isFileError } from "./site/directory.ts";
import type { SiteFiles } from "./site/resource.ts";
import { respond } from "./site/respond.ts";
import { pathOf } from "./site/target.ts";

/**
 * What a stranger sees: a static web site, and nothing else. The answer depends on method, path, conditions and range
 * alone, so that an upgrade, with or without a token, is answered as the plain request.
 */
export interface Site {
  respond(request: Request): Promise<Response>;
}

/** The built-in site: one page. `seed`, any bytes that stay the same, sets its date and ETag. */
export function builtInSite(seed: Uint8Array): Site {
  return siteOf(builtInFiles(seed));
}

/** Serves the files of `directory` as Caddy's file server would. */
export function directorySite(directory: string): Site {
  return siteOf(directoryFiles(directory));
}

function siteOf(files: SiteFiles): Site {
  return {
    async respond(request) {
      const found = await files.find(pathOf(request.url));
      try {
        return await respond(request, found, files);
      } catch (error) {
        // The disk has failed in reading. Not thrown on, to a line in the log: strangers would decide how many.
        if (!isFileError(error)) throw error;
        return respond(request, failureOf(error), files);
      }
    },
  };
}
