import { readFileSync } from 'node:fs';
import {
  absmaxFakeQuantize,
  absmaxQuantize,
  absmeanFakeQuantize,
  absmeanQuantize,
  type BlockFormat,
  decodeBlocks,
  encodeBlocks,
  nearestCentroid,
  scope,
  seedlmDecode,
  seedlmEncode,
  TernaryMatrix,
  tensor,
  ternaryMatmul,
} from '@agentforge/tensor';

interface SeedlmCase {
  readonly bits: number;
  readonly block: number;
  readonly rank: number;
  readonly w: string;
  readonly results: readonly {
    readonly seed: number;
    readonly exponent: number;
    readonly q: readonly number[];
    readonly error: number;
    readonly next: number;
  }[];
}

interface Golden {
  readonly blocks: {
    readonly shape: number[];
    readonly x: string;
    readonly formats: Record<string, { readonly bytes: string; readonly decoded: string }>;
  };
  readonly bitnet: Record<'w' | 'w_quantized' | 'x' | 'x_codes' | 'x_quantized' | 'product', string> & {
    readonly w_shape: number[];
    readonly x_shape: number[];
  };
  readonly seedlm: readonly SeedlmCase[];
  readonly nearest: {
    readonly x: string;
    readonly centroids: string;
    readonly width: number;
    readonly index: number[];
    readonly distance: number[];
  };
}

const golden = JSON.parse(readFileSync(new URL('golden.json', import.meta.url), 'utf8')) as Golden;

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function floats(text: string): Float32Array {
  return new Float32Array(bytes(text).buffer);
}

/** Largest difference relative to the largest expected magnitude. */
function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [error, scale] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error = Math.max(error, Math.abs((actual[i] ?? Number.NaN) - (expected[i] as number)));
    scale = Math.max(scale, Math.abs(expected[i] as number));
  }
  return actual.length === expected.length ? error / scale : Number.NaN;
}

describe('block formats against gguf-py', () => {
  const { shape, x, formats } = golden.blocks;

  it.each(Object.keys(formats))('%s gives the same bytes, and the same values back', (name) => {
    scope(() => {
      const expected = formats[name] as { bytes: string; decoded: string };
      const encoded = encodeBlocks(tensor(floats(x), shape), name as BlockFormat);
      expect(Buffer.from(encoded.toTypedArray() as Uint8Array).equals(bytes(expected.bytes))).toBe(true);
      const decoded = decodeBlocks(encoded, name as BlockFormat).toFloat32Array();
      expect(decoded).toEqual(floats(expected.decoded));
    });
  });
});

describe('BitNet quantisers against PyTorch', () => {
  const { bitnet } = golden;

  it('rounds activations to the same codes and values', () => {
    scope(() => {
      const x = tensor(floats(bitnet.x), bitnet.x_shape);
      expect(absmaxQuantize(x).codes.toTypedArray()).toEqual(new Int8Array(bytes(bitnet.x_codes).buffer));
      const withoutNegativeZeros = floats(bitnet.x_quantized).map((value) => value + 0);
      expect(absmaxFakeQuantize(x).toFloat32Array()).toEqual(withoutNegativeZeros);
    });
  });

  it('rounds weights to the same codes, with a step that differs by the order of a sum', () => {
    scope(() => {
      const w = tensor(floats(bitnet.w), bitnet.w_shape);
      const expected = floats(bitnet.w_quantized);
      expect([...absmeanQuantize(w).codes.toTypedArray()]).toEqual([...expected].map((value) => Math.sign(value) + 0));
      expect(worst(absmeanFakeQuantize(w).toFloat32Array(), expected)).toBeLessThan(2.4e-7);
    });
  });

  it('multiplies them', () => {
    scope(() => {
      const w = TernaryMatrix.pack(absmeanQuantize(tensor(floats(bitnet.w), bitnet.w_shape)));
      const product = ternaryMatmul(tensor(floats(bitnet.x), bitnet.x_shape), w).toFloat32Array();
      expect(worst(product, floats(bitnet.product))).toBeLessThan(5e-7);
      w.dispose();
    });
  });
});

describe('SeedLM against an exhaustive search in float64', () => {
  it.each(golden.seedlm)('K $bits, C $block, P $rank', ({ w, results, bits, block, rank }) => {
    scope(() => {
      const weights = floats(w);
      const code = seedlmEncode(tensor(weights), { bits, block, rank }, 1);
      const decoded = seedlmDecode(code).toFloat32Array();
      results.forEach(({ seed, exponent, q, error, next }, b) => {
        let [squared, norm] = [0, 0];
        for (let i = b * block; i < (b + 1) * block; i++) {
          squared += ((weights[i] as number) - (decoded[i] as number)) ** 2;
          norm += (weights[i] as number) ** 2;
        }
        // The search is in f32: gains are right to about 1e-6 of the block's norm.
        expect(Math.abs(squared - error)).toBeLessThan(2e-6 * norm);
        if (next - error < 4e-6 * norm) return;
        expect(code.seeds.toTypedArray()[b]).toBe(seed);
        const fields = [...code.fields.toTypedArray().subarray(b * (1 + rank), (b + 1) * (1 + rank))];
        expect(fields).toEqual([exponent, ...q]);
      });
    });
  });
});

describe('nearestCentroid() against numpy', () => {
  it('finds the same centroids at the same distance', () => {
    const { x, centroids, width, index, distance } = golden.nearest;
    scope(() => {
      const found = nearestCentroid(
        tensor(floats(x), [floats(x).length / width, width]),
        tensor(floats(centroids), [floats(centroids).length / width, width]),
      );
      expect([...found.index.toTypedArray()]).toEqual(index);
      expect(worst(found.distance.toTypedArray(), distance)).toBeLessThan(5e-7);
    });
  });
});
