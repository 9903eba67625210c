import { dlopen, type FFIFunction, type Library } from "bun:ffi";
import { existsSync, readFileSync } from "node:fs";

const LOADED_LIBC = /(\/[^\n]*\/(?:libc\.so\.6|libc-[\d.]+\.so|ld-musl-[^/\n]+\.so\.1))$/m;

/** Where the usual Linux systems have it, should /proc not be mounted: glibc, then musl. */
const USUAL_PLACES = [
  "/lib64/libc.so.6",
  "/lib/x86_64-linux-gnu/libc.so.6",
  "/lib/aarch64-linux-gnu/libc.so.6",
  "/lib/ld-musl-x86_64.so.1",
  "/lib/ld-musl-aarch64.so.1",
];

/**
 * The absolute path of the C library that this process already runs on, for dlopen; undefined where there is none.
 * Never a bare name: Bun looks for one that the system does not have (`libc.so.6` on Alpine) in the working directory,
 * and a file there would run inside a root process.
 */
export function libcPath(): string | undefined {
  if (process.platform === "darwin") return "/usr/lib/libSystem.B.dylib";
  if (process.platform !== "linux") return undefined;
  return loadedLibc() ?? USUAL_PLACES.find((path) => existsSync(path));
}

function loadedLibc(): string | undefined {
  try {
    return LOADED_LIBC.exec(readFileSync("/proc/self/maps", "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

/** These functions of Linux's C library; undefined on other systems, and where it lacks one of them. */
export function linuxLibc<Symbols extends Record<string, FFIFunction>>(
  symbols: Symbols,
): Library<Symbols>["symbols"] | undefined {
  const path = process.platform === "linux" ? libcPath() : undefined;
  try {
    return path === undefined ? undefined : dlopen(path, symbols).symbols;
  } catch {
    return undefined;
  }
}
