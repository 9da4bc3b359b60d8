import { crc32 } from 'node:zlib';
import { Philox } from '@agentforge/tensor';
import { f16Bits, f16Value } from '../safetensors/half.js';
import { BLOCK_FORMATS, type GgmlType, ggmlBytes } from './blocks.js';
import { isTernary, ternarize } from './ternarize.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const normals = (count: number, seed: number): Float32Array => {
  const rng = new Philox(seed);
  return Float32Array.from({ length: count }, () => rng.normal());
};

/** Bytes that ggml's own C code gives. */
const FROM_LIBGGML: readonly [string, Float32Array, Partial<Record<GgmlType, number>>][] = [
  [
    '(i mod 3) - 1',
    Float32Array.from({ length: 256 }, (_, i) => (i % 3) - 1),
    { TQ1_0: 0xb22f5b39, TQ2_0: 0xdb8f8b3b },
  ],
  [
    'a quarter of ternary values',
    Float32Array.from({ length: 256 }, (_, i) => 0.25 * ([-1, 0, 1, 1, 0, -1, 0][i % 7] ?? 0)),
    { TQ1_0: 0xfe47c8ed, TQ2_0: 0x57cb4b97 },
  ],
  [
    'a ramp',
    Float32Array.from({ length: 256 }, (_, i) => -1 + (2 * i) / 255),
    { TQ1_0: 0x75786bf8, TQ2_0: 0x097d819e },
  ],
];

describe('BLOCK_FORMATS', () => {
  it.each(FROM_LIBGGML)('encodes %s to the bytes of libggml', (_, values, expected) => {
    for (const [type, crc] of Object.entries(expected)) {
      expect(crc32(BLOCK_FORMATS[type as GgmlType].encode(values))).toBe(crc);
    }
  });

  it('places the codes of TQ1_0 and TQ2_0 as libggml does', () => {
    const values = FROM_LIBGGML[0]?.[1] ?? new Float32Array(0);
    expect(hex(BLOCK_FORMATS.TQ1_0.encode(values))).toBe(
      `${'456ccf'.repeat(10)}456c${'94bb31'.repeat(5)}943092bb30003c`,
    );
    expect(hex(BLOCK_FORMATS.TQ2_0.encode(values))).toBe(`${'186186'.repeat(21)}18003c`);
  });

  it.each(Object.keys(BLOCK_FORMATS) as GgmlType[])(
    '%s: what was decoded encodes to the same bytes',
    (type) => {
      const { encode, decode } = BLOCK_FORMATS[type];
      const once = encode(normals(2048, 3));
      expect(once.length).toBe(ggmlBytes(type, 2048));
      expect(encode(decode(once))).toEqual(once);
    },
  );

  // Q8_0: half a step of absmax/127, for 32 normals; F16 and BF16: half a unit in the last place.
  it.each<[GgmlType, number]>([
    ['F32', 0],
    ['F16', 2 ** -11],
    ['BF16', 2 ** -8],
    ['Q8_0', 0.01],
  ])('%s loses at most a share %d of a tensor', (type, limit) => {
    const x = normals(4096, 5);
    const { encode, decode } = BLOCK_FORMATS[type];
    const y = decode(encode(x));
    let lost = 0;
    let whole = 0;
    x.forEach((value, i) => {
      lost += (value - (y[i] ?? Number.NaN)) ** 2;
      whole += value * value;
    });
    expect(Math.sqrt(lost / whole)).toBeLessThanOrEqual(limit);
  });

  it.each(['Q8_0', 'TQ1_0', 'TQ2_0'] as const)(
    '%s keeps zeros, and values too small for a scale become zeros',
    (type) => {
      const { encode, decode } = BLOCK_FORMATS[type];
      expect(decode(encode(new Float32Array(256)))).toEqual(new Float32Array(256));
      expect(decode(encode(new Float32Array(256).fill(1e-42)))).toEqual(new Float32Array(256));
    },
  );

  it('decodes a view that does not begin at the start of its buffer', () => {
    for (const { encode, decode } of Object.values(BLOCK_FORMATS)) {
      const bytes = encode(normals(256, 1));
      const shifted = Buffer.concat([Uint8Array.of(7), bytes]).subarray(1);
      expect(decode(shifted)).toEqual(decode(bytes));
    }
  });
});

describe('f16Bits()', () => {
  it('gives back every f16 number', () => {
    const wrong: number[] = [];
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = f16Value(bits);
      if (!Number.isNaN(value) && f16Bits(value) !== bits) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
    expect(f16Value(f16Bits(Number.NaN))).toBeNaN();
  });

  it.each([
    [1 + 2 ** -11, 0x3c00], // halfway, to the even neighbour below
    [1 + 3 * 2 ** -11, 0x3c02], // halfway, to the even neighbour above
    [1 + 2 ** -11 + 2 ** -20, 0x3c01],
    [65519.99, 0x7bff],
    [65520, 0x7c00],
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2],
    [2 ** -25 * 1.001, 1],
    [-(2 ** -14) + 2 ** -26, 0x8400],
  ])('rounds %d to %i, ties to even', (value, bits) => expect(f16Bits(value)).toBe(bits));
});

describe('ternarize()', () => {
  it('rounds to -s, 0 and s as the paper does, s rounded to f16', () => {
    // mean |W| = 0.29166667
    const weight = Float32Array.of(0.5, -0.1, 0.05, -0.8, 0.3, 0);
    const s = f16Value(f16Bits(0.29166667));
    expect([...ternarize(weight)]).toEqual([s, 0, 0, -s, s, 0]);
    expect([...ternarize(weight.map((value) => 7 * value))].map(Math.sign)).toEqual([1, 0, 0, -1, 1, 0]);
    expect(isTernary(weight)).toBe(false);
  });

  it('gives what the ternary types keep exactly', () => {
    const weight = ternarize(normals(512, 2));
    expect(isTernary(weight)).toBe(true);
    for (const type of ['TQ1_0', 'TQ2_0'] as const) {
      const { encode, decode } = BLOCK_FORMATS[type];
      expect(decode(encode(weight))).toEqual(weight);
    }
  });

  it('has a share of zeros and an error as a normal distribution gives them', () => {
    const weight = normals(65_536, 4);
    const kept = ternarize(weight);
    // 31.0 % of a normal distribution is below half its mean magnitude; 0.01 is five standard errors.
    expect(kept.filter((value) => value === 0).length / kept.length).toBeCloseTo(0.31, 2);
  });
});
