import type { Random } from './random.js';

/** No input grows beyond this, so that what a reader may allocate for it is small. */
export const MAX_INPUT_BYTES = 1 << 16;

/** Counts and lengths at the edges of the number types that readers compute with. */
const EDGES: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 4n, 5n, 8n, 9n, 12n, 16n, 31n, 32n, 33n, 34n, 35n, 64n, 255n, 256n, 257n, 1024n],
  ...[65_535n, 65_536n, 1n << 20n, 1n << 24n, (1n << 31n) - 1n, 1n << 31n, (1n << 32n) - 1n, 1n << 32n],
  ...[1n << 40n, (1n << 53n) - 1n, 1n << 53n, (1n << 53n) + 1n, 1n << 60n, (1n << 63n) - 1n, 1n << 63n],
  ...[(1n << 64n) - 1n, (1n << 64n) - 8n],
];
const BYTES = [0, 1, 2, 0x22, 0x2c, 0x30, 0x39, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xff] as const;
/** What a number of a JSON header may be replaced with. */
const TOKENS = [
  ...['-1', '0', '1', '-0', '1.5', '1e3', '1e400', '-1e400', '2147483648', '9007199254740991'],
  ...[
    '9007199254740992',
    '18446744073709551615',
    '1e-400',
    'null',
    'true',
    '""',
    '[]',
    '{}',
    '[[[[[[[[]]]]]]]]',
  ],
  ...['"__proto__"', '"constructor"', '"F32"', '"\\ud800"', '01', 'NaN', ''],
] as const;

type Mutation = (input: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

/** One to six changes of an input, each of a kind that a broken or hostile file shows. `other` is spliced in. */
export function mutate(input: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  let bytes: Uint8Array = input.slice();
  for (let changes = 1 + random.below(random.oneIn(3) ? 6 : 2); changes > 0; changes--) {
    bytes = random.pick(MUTATIONS)(bytes, random, other).slice(0, MAX_INPUT_BYTES);
  }
  return bytes;
}

const flipBit: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  return bytes;
};

const setByte: Mutation = (bytes, random) => {
  const value = random.oneIn(2) ? random.pick(BYTES) : random.below(256);
  if (bytes.length > 0) bytes[random.below(bytes.length)] = value;
  return bytes;
};

/** An edge value over four or eight bytes: half of the time among the first ones, where counts are. */
const setCount: Mutation = (bytes, random) => {
  const width = random.oneIn(2) ? 8 : 4;
  if (bytes.length < width) return bytes;
  const places = random.oneIn(2) ? Math.min(64, bytes.length) : bytes.length;
  const at = Math.min(random.below(places), bytes.length - width);
  const near = BigInt(random.below(3)) - 1n;
  const value = BigInt.asUintN(64, random.pick(EDGES) + near);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (width === 8) view.setBigUint64(at, value, true);
  else view.setUint32(at, Number(value & 0xffffffffn), true);
  return bytes;
};

/** Adds a little to a count, so that what follows is off by a few bytes. */
const nudgeCount: Mutation = (bytes, random) => {
  if (bytes.length < 4) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const at = random.below(bytes.length - 3);
  view.setUint32(at, view.getUint32(at, true) + random.below(17) - 8, true);
  return bytes;
};

const truncate: Mutation = (bytes, random) => bytes.slice(0, random.below(bytes.length + 1));

const extend: Mutation = (bytes, random) =>
  join(
    bytes,
    Uint8Array.from({ length: 1 + random.below(64) }, () => (random.oneIn(2) ? 0 : random.below(256))),
  );

const remove: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  return join(bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(16)));
};

const duplicate: Mutation = (bytes, random) => {
  const begin = random.below(bytes.length);
  const piece = bytes.slice(begin, begin + 1 + random.below(64));
  const at = random.below(bytes.length + 1);
  return join(bytes.subarray(0, at), piece, bytes.subarray(at));
};

const splice: Mutation = (bytes, random, other) =>
  join(bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(random.below(other.length + 1)));

const overwrite: Mutation = (bytes, random, other) => {
  const begin = random.below(other.length);
  const piece = other.subarray(begin, begin + 1 + random.below(32));
  const at = random.below(bytes.length);
  bytes.set(piece.subarray(0, bytes.length - at), at);
  return bytes;
};

/** A number or a text of a JSON header becomes another token; half of the time the length before it follows. */
const replaceToken: Mutation = (bytes, random) => {
  if (bytes.length < 9) return bytes;
  const text = Buffer.from(bytes).toString('latin1');
  const tokens = [...text.matchAll(/-?\d+|"[^"\\]{0,40}"/g)];
  if (tokens.length === 0) return bytes;
  const { 0: token, index } = random.pick(tokens);
  const replaced = join(
    bytes.subarray(0, index),
    Buffer.from(random.pick(TOKENS)),
    bytes.subarray(index + token.length),
  );
  if (random.oneIn(2) && replaced.length >= 8) {
    const view = new DataView(replaced.buffer, replaced.byteOffset);
    view.setBigUint64(
      0,
      BigInt.asUintN(64, view.getBigUint64(0, true) + BigInt(replaced.length - bytes.length)),
      true,
    );
  }
  return replaced;
};

const MUTATIONS: readonly Mutation[] = [
  ...[flipBit, setByte, setByte, setCount, setCount, nudgeCount, truncate, extend, remove, duplicate, splice],
  ...[overwrite, replaceToken, replaceToken],
];

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
