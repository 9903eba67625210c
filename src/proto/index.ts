export * from "./assert.ts";
export * from "./destination.ts";
export * from "./errors.ts";
