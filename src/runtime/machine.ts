import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";

/**
 * What this process asks of its machine while it runs. Each question costs a descriptor, and throws in Bun where there
 * is none. These never throw: they are asked by timers, where that would be the end of the process, and whoever can
 * reach a port of ours can fill the table of descriptors with idle sockets.
 */

let knownRssBytes = 0;

/** Resident bytes of this process. Where the system cannot say, what it said last. */
export function residentBytes(): number {
  try {
    knownRssBytes = process.memoryUsage.rss();
  } catch {
    // No descriptor for /proc/self/stat.
  }
  return knownRssBytes;
}

export type InterfaceAddress = NetworkInterfaceInfo & { readonly interfaceName: string };

/** Every address of every interface that is up; undefined where the system cannot say. */
export function interfaceAddresses(): InterfaceAddress[] | undefined {
  try {
    return Object.entries(networkInterfaces()).flatMap(([interfaceName, addresses = []]) =>
      addresses.map((address) => ({ ...address, interfaceName })),
    );
  } catch {
    // No descriptor for the socket that getifaddrs asks through.
    return undefined;
  }
}
