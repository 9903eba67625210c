import { afterAll } from "bun:test";
import {
  type ControlRequest,
  type ControlServer,
  type Json,
  serveControl,
} from "../../src/runtime/control.ts";
import { useScratch } from "./state-support.ts";

type Handler = (request: ControlRequest) => Promise<Json> | Json;
type Serve = (handle?: Handler, dir?: string) => Promise<ControlServer & { readonly dir: string }>;

/** Call once per test file: gives control sockets, by default echoing ones, which are closed when the file is done. */
export function useControl(scratch: () => string = useScratch()): Serve {
  const servers: ControlServer[] = [];
  afterAll(() => {
    for (const server of servers) server.close();
  });
  return async (handle = (request) => request, dir = scratch()) => {
    const server = await serveControl(dir, handle);
    servers.push(server);
    return { ...server, dir };
  };
}
