import { concatBytes } from "../../src/proto/crypto/octets.ts";
import type { Random } from "../../src/proto/random.ts";
import { below, pick } from "../proto/support/random.ts";

/** Numbers that lengths and counts go wrong at. */
const EDGES = [
  [0],
  [1],
  [0x3f],
  [0x40],
  [0x7f],
  [0x80],
  [0xff],
  [0xff, 0xff],
  [0, 0, 0, 0],
  [0x7f, 0xff, 0xff, 0xff],
];
/** A change in eight makes an input long: this many bytes at most. */
const LONG_BYTES = 40_000;

export interface MutationOptions {
  readonly random: Random;
  /** Other inputs of the same kind, to take parts of. */
  readonly corpus: readonly Uint8Array[];
  /** Pieces that this kind of input is made of. */
  readonly words: readonly Uint8Array[];
}

/** `input` with one to four changes of the kinds that find parsers out, the kinds of most fuzzers. */
export function mutate(input: Uint8Array, options: MutationOptions): Uint8Array {
  let bytes = Uint8Array.from(input);
  for (let left = 1 + below(options.random, 4); left > 0; left--)
    bytes = Uint8Array.from(changed(bytes, options));
  return bytes;
}

function changed(bytes: Uint8Array, { random, corpus, words }: MutationOptions): Uint8Array {
  const at = below(random, bytes.length + 1);
  const to = Math.min(bytes.length, at + 1 + below(random, 12));
  const [head, cut, tail] = [bytes.subarray(0, at), bytes.subarray(at, to), bytes.subarray(to)];
  const word = () => (words.length === 0 ? random(1 + below(random, 4)) : pick(random, words));
  const kinds: readonly (() => Uint8Array)[] = [
    () => concatBytes(head, tail),
    () => concatBytes(head, cut, cut, tail),
    () => concatBytes(head, random(cut.length), tail),
    () => concatBytes(head, Uint8Array.from(pick(random, EDGES)), tail),
    () => concatBytes(head, word(), tail),
    () => concatBytes(head, word(), cut, tail),
    () => head,
    () => concatBytes(head, splice(random, pick(random, corpus))),
    () => flipped(random, bytes),
    () => (below(random, 8) === 0 ? concatBytes(head, long(random, cut), tail) : tail),
  ];
  return pick(random, kinds)();
}

function splice(random: Random, other: Uint8Array): Uint8Array {
  return other.subarray(below(random, other.length + 1));
}

function flipped(random: Random, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return bytes;
  const copy = Uint8Array.from(bytes);
  const bit = below(random, bytes.length * 8);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

function long(random: Random, piece: Uint8Array): Uint8Array {
  const unit = piece.length === 0 ? Uint8Array.of(0x78) : piece;
  return concatBytes(
    ...Array.from({ length: below(random, Math.ceil(LONG_BYTES / unit.length)) }, () => unit),
  );
}
