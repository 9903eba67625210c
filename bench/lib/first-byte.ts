import { HttpGetter } from "./http-get.ts";
import { type Route, Wire } from "./wire.ts";

/** From the start of a new connection to the first byte of an answer that costs the origin nothing, in ms. */
export async function timeToFirstByte(route: Route): Promise<number> {
  const started = performance.now();
  const wire = await Wire.open(route);
  const getter = new HttpGetter(wire);
  await getter.get("/tiny");
  const firstByteAt = getter.firstByteAt ?? Number.NaN;
  wire.end();
  return firstByteAt - started;
}
