import { Philox } from '@agentforge/tensor';
import { linear } from './linear.js';
import { MergeOperandError } from './operands.js';
import { slerp } from './slerp.js';
import { DARE_RESCALE, dropAndRescale, trimByMagnitude } from './sparsify.js';
import { mixTaskVectors, taskVector } from './task-vectors.js';

const f32 = (...values: number[]) => Float32Array.from(values);
const ties = { consensus: true, normalize: true, lambda: 1 };

function random(seed: number, length = 1000): Float32Array {
  const rng = new Philox(seed);
  return Float32Array.from({ length }, () => rng.normal());
}

function sumAbs(values: Float32Array): number {
  return values.reduce((sum, value) => sum + Math.abs(value), 0);
}

function expectClose(actual: Float32Array, expected: Float32Array, tolerance = 1e-6): void {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, i) => {
    expect(Math.abs(value - (expected[i] as number))).toBeLessThanOrEqual(tolerance);
  });
}

describe('linear()', () => {
  it('returns the model that has all the weight', () => {
    const [a, b] = [random(1), random(2)];
    expect(linear([a, b], [1, 0])).toEqual(a);
    expect(linear([a, b], [0, 3])).toEqual(b);
  });

  it('returns the model when all are equal', () => {
    const a = random(1);
    expectClose(linear([a, a, a], [0.2, 0.3, 0.5]), a);
  });

  it('divides by the sum of the weights unless told otherwise', () => {
    expect(linear([f32(2, 4), f32(4, 8)], [1, 3])).toEqual(f32(3.5, 7));
    expect(linear([f32(2, 4), f32(4, 8)], [1, 3], false)).toEqual(f32(14, 28));
    expect(linear([f32(2, 4), f32(4, 8)], [1, -1])).toEqual(f32(-2, -4));
  });

  it('does not depend on the order of the models', () => {
    const [a, b, c] = [random(1), random(2), random(3)];
    expectClose(linear([a, b, c], [0.5, 0.3, 0.2]), linear([c, a, b], [0.2, 0.5, 0.3]));
  });

  it.each([
    ['no model', () => linear([], [])],
    ['a weight too few', () => linear([f32(1), f32(2)], [1])],
    ['lengths that differ', () => linear([f32(1), f32(1, 2)], [1, 1])],
  ])('refuses %s', (_, call) => {
    expect(call).toThrow(MergeOperandError);
  });
});

describe('slerp()', () => {
  it('gives the reference values of mergekit', () => {
    expectClose(slerp(f32(1, 0), f32(0, 2), 0.25), f32(0.92388, 0.765367));
    expectClose(slerp(f32(3, 4), f32(4, -3), 0.5), f32(4.949747, Math.SQRT1_2));
  });

  it('is exact at both ends', () => {
    const [a, b] = [random(1), random(2)];
    expect(slerp(a, b, 0)).toEqual(a);
    expect(slerp(a, b, 1)).toEqual(b);
  });

  it('returns the model when both are equal, zeros included', () => {
    const a = random(1);
    expectClose(slerp(a, a, 0.3), a);
    expect(slerp(f32(0, 0), f32(0, 0), 0.3)).toEqual(f32(0, 0));
  });

  it('interpolates straight between almost parallel tensors', () => {
    expectClose(slerp(f32(1, 0), f32(3, 0.01), 0.5), f32(2, 0.005));
  });
});

describe('trimByMagnitude()', () => {
  it.each([
    [0.1, 100],
    [0.55, 550],
    [0.999, 999],
    [1, 1000],
  ])('keeps exactly ⌊%f · n⌋ entries, the largest', (density, count) => {
    const delta = random(4);
    const kept = trimByMagnitude(delta, density);
    const nonZero = kept.filter((value) => value !== 0).map(Math.abs);
    const dropped = delta.filter((_, i) => kept[i] === 0).map(Math.abs);
    expect(nonZero).toHaveLength(count);
    expect(Math.min(...nonZero)).toBeGreaterThanOrEqual(Math.max(0, ...dropped));
  });

  it('keeps the exact number when magnitudes are equal', () => {
    expect(trimByMagnitude(f32(1, -1, 1, -1), 0.5)).toEqual(f32(1, -1, 0, 0));
  });

  it.each([0, -0.1, 1.1, Number.NaN])('refuses density %f', (density) => {
    expect(() => trimByMagnitude(f32(1), density)).toThrow(MergeOperandError);
  });
});

describe('mixTaskVectors() with trimmed deltas: TIES', () => {
  it('gives the reference values of mergekit', () => {
    const deltas = [f32(1, -2, 3, 0.1), f32(2, 1, -3, -0.2)].map((delta) => trimByMagnitude(delta, 0.5));
    expect(deltas).toEqual([f32(0, -2, 3, 0), f32(2, 0, -3, 0)]);
    expect(mixTaskVectors(f32(0, 0, 0, 0), deltas, [1, 1], ties)).toEqual(f32(2, -2, 3, 0));
  });

  it('is task arithmetic for one model at density 1', () => {
    const [base, model] = [random(1), random(2)];
    expectClose(mixTaskVectors(base, [taskVector(model, base)], [1], ties), model);
  });

  it('does not depend on the order of the models', () => {
    const base = random(1);
    const [a, b] = [taskVector(random(2), base), taskVector(random(3), base)];
    expect(mixTaskVectors(base, [a, b], [1, 2], ties)).toEqual(mixTaskVectors(base, [b, a], [2, 1], ties));
  });

  it('scales the mixed delta by lambda', () => {
    const mixed = mixTaskVectors(f32(1, 1), [f32(2, -2)], [1], { ...ties, lambda: 0.5 });
    expect(mixed).toEqual(f32(2, 0));
  });

  it('without consensus is task arithmetic: base + λ Σ w δ', () => {
    const options = { consensus: false, normalize: false, lambda: 2 };
    expect(mixTaskVectors(f32(1), [f32(2), f32(-1)], [0.5, 1], options)).toEqual(f32(1));
    expect(mixTaskVectors(f32(1), [f32(2), f32(1)], [0.5, 1], options)).toEqual(f32(5));
  });

  it('refuses deltas that do not fit the base', () => {
    expect(() => mixTaskVectors(f32(1, 2), [f32(1)], [1], ties)).toThrow(MergeOperandError);
  });
});

describe('dropAndRescale(): DARE', () => {
  const delta = random(5, 4000);
  const drop = (seed: number, density: number, rescale = DARE_RESCALE.matchL1 as never) => {
    const rng = new Philox(seed);
    return dropAndRescale(delta, density, () => rng.float(), rescale);
  };

  it('is the identity at density 1', () => {
    expect(drop(1, 1)).toEqual(delta);
  });

  it('keeps the share of entries that density says, on average over 1,000 masks', () => {
    const small = delta.subarray(0, 200);
    const rng = new Philox(7);
    let kept = 0;
    for (let i = 0; i < 1000; i++) {
      kept += dropAndRescale(small, 0.3, () => rng.float()).filter((value) => value !== 0).length;
    }
    expect(Math.abs(kept / (1000 * small.length) - 0.3)).toBeLessThan(0.003);
  });

  it('keeps the sum of magnitudes, as mergekit does', () => {
    expect(sumAbs(drop(2, 0.4)) / sumAbs(delta)).toBeCloseTo(1, 5);
  });

  it('keeps the expectation when it divides by the density, as the paper does', () => {
    const sums = new Float64Array(50);
    for (let seed = 0; seed < 2000; seed++) {
      const rng = new Philox(seed);
      const kept = dropAndRescale(delta.subarray(0, 50), 0.5, () => rng.float(), DARE_RESCALE.inverseDensity);
      kept.forEach((value, i) => {
        sums[i] = (sums[i] as number) + value;
      });
    }
    // Standard error of the mean is |δ| / √2000 = 0.022 |δ|: five of them.
    sums.forEach((sum, i) => {
      const expected = delta[i] as number;
      expect(Math.abs(sum / 2000 - expected)).toBeLessThan(0.112 * Math.abs(expected) + 1e-6);
    });
  });

  it('leaves survivors alone when told to', () => {
    drop(3, 0.5, DARE_RESCALE.none as never).forEach((value, i) => {
      expect([0, delta[i]]).toContain(value);
    });
  });

  it('draws the same mask for the same seed', () => {
    expect(drop(9, 0.5)).toEqual(drop(9, 0.5));
    expect(drop(9, 0.5)).not.toEqual(drop(10, 0.5));
  });
});
