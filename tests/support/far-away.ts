import { dlopen } from "bun:ffi";
import { libcPath } from "../../src/runtime/libc.ts";

/**
 * A host that is far away, for TCP's own handshake too: `bun far-away.ts RTT_MS`, in a network namespace of its own, as
 * root. Whoever connects to AWAY reaches what listens at HERE, and every packet takes half of the round trip.
 *
 * It is a TUN device with one trick: a packet from HERE to AWAY goes back into the kernel as one from AWAY to HERE.
 * Swapping the two addresses leaves every checksum right, as all of them are sums of 16-bit words.
 */
export const HERE = "10.231.0.1";
export const AWAY = "10.231.0.2";

const O_RDWR_NONBLOCK = 2 | 0o4000;
const TUNSETIFF = 0x400454ca;
const IFF_TUN_NO_PI = 0x0001 | 0x1000;
const IFNAMSIZ = 16;
const PACKET_BYTES = 65_536;
const POLL_MS = 0.5;

interface Delayed {
  readonly packet: Uint8Array;
  readonly due: number;
}

function openTun(name: string) {
  const path = libcPath();
  if (path === undefined) throw new Error("no C library");
  const libc = dlopen(path, {
    open: { args: ["cstring", "i32"], returns: "i32" },
    ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
    read: { args: ["i32", "ptr", "u64"], returns: "i64" },
    write: { args: ["i32", "ptr", "u64"], returns: "i64" },
  } as const).symbols;
  const fd = libc.open(Buffer.from("/dev/net/tun\0"), O_RDWR_NONBLOCK);
  // struct ifreq: the name, then the flags in host order.
  const request = Buffer.alloc(40);
  request.write(name);
  request.writeUInt16LE(IFF_TUN_NO_PI, IFNAMSIZ);
  if (fd < 0 || libc.ioctl(fd, TUNSETIFF, request) < 0) throw new Error("no TUN device to be had");
  const buffer = new Uint8Array(PACKET_BYTES);
  return {
    read(): Uint8Array | undefined {
      const count = Number(libc.read(fd, buffer, buffer.length));
      return count > 0 ? buffer.slice(0, count) : undefined;
    },
    write: (packet: Uint8Array) => void libc.write(fd, packet, packet.length),
  };
}

/** Source and destination change places (RFC 791 section 3.1: bytes 12 to 15 and 16 to 19). */
function turnAround(packet: Uint8Array): void {
  const source = packet.slice(12, 16);
  packet.copyWithin(12, 16, 20);
  packet.set(source, 16);
}

async function main(roundTripMs: number): Promise<never> {
  const tun = openTun("far0");
  for (const command of [`addr add ${HERE}/24 dev far0`, "link set far0 up"])
    Bun.spawnSync(["ip", ...command.split(" ")]);
  process.stdout.write("far away\n");
  const under: Delayed[] = [];
  for (;;) {
    const now = performance.now();
    for (let packet = tun.read(); packet !== undefined; packet = tun.read()) {
      if (packet[0] !== undefined && packet[0] >> 4 !== 4) continue;
      turnAround(packet);
      under.push({ packet, due: now + roundTripMs / 2 });
    }
    for (let first = under[0]; first !== undefined && first.due <= now; first = under[0]) {
      tun.write(first.packet);
      under.shift();
    }
    await Bun.sleep(POLL_MS);
  }
}

if (import.meta.main) await main(Number(Bun.argv[2]));
