/**
 * The demo's origin: a web server on a free loopback port whose every path is the same pseudo-random file, so that a
 * byte lost, repeated or moved changes the hash. Prints `port sha256` and serves until it is ended.
 */
const [sizeText = "0"] = process.argv.slice(2);
const size = Number(sizeText);
const CHUNK = 1_000_000;

/** The file's chunk number `index`: its own hash chain, so that no two chunks are alike. */
function chunk(index: number): Uint8Array {
  const bytes = new Uint8Array(Math.min(CHUNK, size - index * CHUNK));
  for (let offset = 0, block = index + 1; offset < bytes.length; offset += 8) {
    block = (Math.imul(block, 0x9e3779b1) ^ (block >>> 15)) >>> 0;
    new DataView(bytes.buffer).setUint32(Math.min(offset, bytes.length - 4), block);
  }
  return bytes;
}

const chunks = Array.from({ length: Math.ceil(size / CHUNK) }, (_, index) => chunk(index));
const hash = new Bun.CryptoHasher("sha256");
for (const bytes of chunks) hash.update(bytes);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => new Response(new Blob(chunks.map((bytes) => bytes.buffer as ArrayBuffer))),
});
process.stdout.write(`${server.port} ${hash.digest("hex")}\n`);
