import { type Kem, nativeKem } from "./kem.ts";
import { nativePrimitives } from "./native.ts";
import type { Primitives } from "./types.ts";

// The only folder of the protocol that imports a crypto library.
export * from "./edwards.ts";
export * from "./kem.ts";
export * from "./native.ts";
export * from "./portable.ts";
export * from "./types.ts";

/** What the program uses: native wherever Bun has it, which is 5 to 30 times as fast as noble. */
export const defaultPrimitives: Primitives = nativePrimitives;

/** The KEM that the program uses. */
export const kem: Kem = nativeKem;
