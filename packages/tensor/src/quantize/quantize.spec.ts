import { backward } from '../autograd/backward.js';
import { tensor } from '../create.js';
import { ArgumentError, DtypeError, ShapeError } from '../errors.js';
import { mul } from '../ops/arithmetic.js';
import { gatherRows } from '../ops/layout.js';
import { sum } from '../ops/reductions.js';
import { Philox } from '../random/philox.js';
import { normal } from '../random/random-tensor.js';
import { scope } from '../scope.js';
import { parameter, type Tensor } from '../tensor.js';
import { absmaxFakeQuantize, absmaxQuantize, absmeanFakeQuantize, absmeanQuantize } from './bitnet.js';
import { packBits, unpackBits } from './bits.js';
import { BLOCK_SIZES, decodeBlocks, encodeBlocks } from './block-format.js';
import { kmeans, nearestCentroid } from './codebook.js';
import { hyperBitsPerPair, hyperDecode, hyperEncode } from './hyper.js';
import { SEEDLM_LAYOUTS, seedlmBitsPerWeight, seedlmDecode, seedlmEncode } from './seedlm.js';
import { TernaryMatrix, ternaryAccumulate, ternaryMatmul } from './ternary-matrix.js';

const stream = (): Philox => new Philox(7).stream('quantize');

function meanSquare(x: Tensor): number {
  return x.toFloat32Array().reduce((total, value) => total + value * value, 0) / x.size;
}

function meanSquareError(a: Tensor, b: Tensor): number {
  const [x, y] = [a.toFloat32Array(), b.toFloat32Array()];
  return x.reduce((total, value, i) => total + (value - (y[i] as number)) ** 2, 0) / x.length;
}

describe('fake quantisers', () => {
  it.each([
    ['absmeanFakeQuantize', absmeanFakeQuantize],
    ['absmaxFakeQuantize', absmaxFakeQuantize],
  ])('%s passes gradients straight through', (_, quantize) => {
    const x = parameter(normal(stream(), [5, 7]));
    scope(() => {
      const slope = normal(new Philox(1), [5, 7]);
      backward(sum(mul(quantize(x), slope)));
      expect(x.grad?.toFloat32Array()).toEqual(slope.toFloat32Array());
    });
    x.dispose();
  });

  it('equal code times step', () => {
    scope(() => {
      const w = normal(stream(), [9, 31]);
      const { codes, step } = absmeanQuantize(w);
      const values = [...codes.toTypedArray()].map((code) => Math.fround(code * step.item()));
      expect([...absmeanFakeQuantize(w).toFloat32Array()]).toEqual(values);
      expect(absmaxQuantize(tensor([1, -2, 0.5])).codes.toTypedArray()).toEqual(Int8Array.of(64, -127, 32));
    });
  });
});

describe('TernaryMatrix', () => {
  it('multiplies exactly, gives its codes back, and outlives the scope it was made in', () => {
    const matrix = scope(() => TernaryMatrix.pack(absmeanQuantize(normal(stream(), [21, 37]))));
    scope(() => {
      const x = normal(new Philox(2), [2, 3, 37]);
      const { codes, step } = absmaxQuantize(x);
      const sums = ternaryAccumulate(codes, matrix);
      const y = ternaryMatmul(x, matrix);
      expect(y.shape).toEqual([2, 3, 21]);
      const steps = step.toFloat32Array();
      y.toFloat32Array().forEach((value, i) => {
        const expected =
          (sums.toTypedArray()[i] as number) * (steps[Math.floor(i / 21)] as number) * matrix.step.item();
        expect(Math.abs(value - expected)).toBeLessThanOrEqual(2e-7 * Math.abs(expected));
      });
      const again = TernaryMatrix.pack({ codes: matrix.unpack(), step: matrix.step });
      expect(again.packed.toTypedArray()).toEqual(matrix.packed.toTypedArray());
      again.dispose();
    });
    matrix.dispose();
    expect(matrix.packed.isFreed && matrix.step.isFreed).toBe(true);
  });

  it('refuses what does not fit', () => {
    scope(() => {
      const codes = tensor(new Int8Array(6), [2, 3]);
      const matrix = TernaryMatrix.pack({ codes, step: tensor([1]) });
      expect(() => ternaryMatmul(tensor([1, 2]), matrix)).toThrow(ShapeError);
      expect(() => ternaryMatmul(tensor([1, 2]), matrix)).toThrow('x [2] and weights [2,3]');
      expect(() => ternaryAccumulate(tensor([1, 2, 3]), matrix)).toThrow(DtypeError);
      expect(() => TernaryMatrix.pack({ codes, step: tensor([1, 2, 3]) })).toThrow(
        'step [3] must be [1] or [2]',
      );
      expect(() => TernaryMatrix.pack({ codes: tensor(Int8Array.of(2), [1, 1]), step: tensor([1]) })).toThrow(
        'code 2',
      );
      expect(() => TernaryMatrix.fromPacked(2, 17, matrix.packed, matrix.step)).toThrow(
        '[1,2,64], not [1,1,64]',
      );
      matrix.dispose();
    });
  });
});

describe('block formats', () => {
  it('have the sizes that the native core uses', () => {
    for (const [format, { elements, bytes }] of Object.entries(BLOCK_SIZES)) {
      scope(() => {
        const blocks = encodeBlocks(
          tensor(new Float32Array(3 * elements)),
          format as keyof typeof BLOCK_SIZES,
        );
        expect(blocks.toTypedArray()).toHaveLength(3 * bytes);
        expect(blocks.shape).toEqual([3 * bytes]);
        expect(decodeBlocks(blocks, format as keyof typeof BLOCK_SIZES).shape).toEqual([3 * elements]);
      });
    }
  });

  it('refuse half blocks and values that overflow, by position', () => {
    scope(() => {
      expect(() => encodeBlocks(tensor([1, 2, 3]), 'Q8_0')).toThrow(ShapeError);
      expect(() => encodeBlocks(tensor([1, 1e5]), 'F16')).toThrow('element 1');
      expect(() => decodeBlocks(tensor([1, 2]), 'F16')).toThrow(DtypeError);
    });
  });
});

describe('SeedLM', () => {
  it('reaches the known error at its bits per weight, and survives packing', () => {
    scope(() => {
      const w = normal(stream(), [40, 24]);
      const code = seedlmEncode(w);
      expect(seedlmBitsPerWeight(code.layout)).toBe(4);
      expect(seedlmBitsPerWeight(SEEDLM_LAYOUTS.M3)).toBe(3);
      // 0.0152 on normal weights; 120 blocks leave a few percent.
      expect(Math.abs(meanSquareError(seedlmDecode(code), w) / meanSquare(w) / 0.0152 - 1)).toBeLessThan(0.1);
      const seeds = unpackBits(packBits(code.seeds, { width: 16 }), code.seeds.size, { width: 16 });
      expect(seeds.toTypedArray()).toEqual(code.seeds.toTypedArray());
      const layout = { width: 4, isSigned: true };
      const fields = unpackBits(packBits(code.fields, layout), code.fields.size, layout);
      expect([...fields.toTypedArray()]).toEqual([...code.fields.toTypedArray()]);
    });
  });

  it('takes weights of any size, and refuses layouts out of range', () => {
    scope(() => {
      const tiny = mul(normal(stream(), [16]), 1e-4);
      const layout = { bits: 8, block: 4, rank: 1 };
      const error = (w: Tensor): number =>
        meanSquareError(seedlmDecode(seedlmEncode(w, layout)), w) / meanSquare(w);
      expect(Math.abs(error(tiny) - error(mul(tiny, 1e4)))).toBeLessThan(1e-3);
      expect(() => seedlmEncode(tiny, { bits: 30, block: 4, rank: 1 })).toThrow(ArgumentError);
      expect(() => seedlmEncode(tensor([Number.NaN]), layout)).toThrow('element 0');
    });
  });
});

describe('kmeans()', () => {
  it('gives centroids that nearestCentroid() and gatherRows() decode, the same for the same stream', () => {
    scope(() => {
      const x = normal(stream(), [500, 4]);
      const clusters = kmeans(x, { k: 16, stream: new Philox(3) });
      const { index, distance } = nearestCentroid(x, clusters.centroids);
      expect(index.toTypedArray()).toEqual(clusters.index.toTypedArray());
      const total = distance.toFloat32Array().reduce((sumSoFar, value) => sumSoFar + value, 0);
      const error = meanSquareError(gatherRows(clusters.centroids, index), x) * x.size;
      expect(Math.abs(total - error)).toBeLessThan(1e-4 * error);
      const again = kmeans(x, { k: 16, stream: new Philox(3) });
      expect(again.centroids.toTypedArray()).toEqual(clusters.centroids.toTypedArray());
      expect(() => kmeans(x, { k: 501, stream: new Philox(3) })).toThrow(ArgumentError);
      expect(() => kmeans(tensor([1]), { k: 1, stream: new Philox(3) })).toThrow(ShapeError);
    });
  });
});

describe('hyper-compression', () => {
  it('stores pairs in the published number of bits', () => {
    expect(hyperBitsPerPair({ cells: 15, classes: 1 }) / 2).toBe(4.5);
    expect(hyperBitsPerPair({ cells: 19, classes: 1 }) / 2).toBe(5);
    expect(hyperBitsPerPair() / 2).toBe(6.5);
  });

  it('keeps shape and stays within the cell, odd counts included', () => {
    scope(() => {
      const w = mul(normal(stream(), [7, 5]), 0.01);
      const code = hyperEncode(w, { side: 0.2 });
      const decoded = hyperDecode(code);
      expect(decoded.shape).toEqual([7, 5]);
      const bound = 0.2 / 40 / 2 + 1e-8;
      const [a, b] = [w.toFloat32Array(), decoded.toFloat32Array()];
      expect(a.every((value, i) => Math.abs(value - (b[i] as number)) <= bound)).toBe(true);
      const width = hyperBitsPerPair(code.layout);
      const codes = unpackBits(packBits(code.codes, { width }), code.codes.size, { width });
      expect(codes.toTypedArray()).toEqual(code.codes.toTypedArray());
      expect(() => hyperEncode(w, { side: -1 })).toThrow(ArgumentError);
    });
  });
});

describe('packBits()', () => {
  it('refuses values that do not fit, by position', () => {
    scope(() => {
      expect(() => packBits(tensor(Int32Array.of(1, 9)), { width: 3 })).toThrow('9 at position 1');
      expect(() => unpackBits(tensor(new Uint8Array(2)), 5, { width: 4 })).toThrow(ShapeError);
    });
  });
});
