import { expect, test } from "bun:test";
import { peerName } from "../../src/server/idle-connections.ts";

test.each([
  ["fe80::1%eth0", "fe80::1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
])("a peer at %s is the one that the kernel knows as %s", (told, known) => {
  expect(peerName(told, 4_000)).toBe(peerName(known, 4_000));
  expect(peerName(told, 4_000)).not.toBe(peerName(told, 4_001));
  expect(peerName(told, 4_000)).not.toBe(peerName("", 4_000));
});
