import { Philox } from '@agentforge/tensor';
import { MergeOperandError } from '../merging.errors.js';
import { type MergeRequest, mergeTensors, type PartialSettings } from './merge-tensors.js';
import type { MergeMethod } from './method.js';
import { MERGE_METHODS } from './methods.js';
import { problemOf } from './parameter.js';

const SHAPE = [20, 10];
const f32 = (...values: number[]) => Float32Array.of(...values);
const methodOf = (name: string) => MERGE_METHODS.get(name) as MergeMethod;

function random(seed: number, length = 200): Float32Array {
  const rng = new Philox(seed);
  return Float32Array.from({ length }, () => rng.normal());
}

/** A merge of vectors or, of 200 values, of matrices; weights default to 1. */
function run(
  name: string,
  base: Float32Array | null,
  models: readonly Float32Array[],
  settings: PartialSettings = {},
  own: PartialSettings = {},
  rest: Partial<MergeRequest> = {},
): Float32Array {
  const hasWeight = methodOf(name).parameters.some((parameter) => parameter.name === 'weight');
  const length = (base ?? (models[0] as Float32Array)).length;
  return mergeTensors(methodOf(name), {
    shape: length === 200 ? SHAPE : [length],
    base: base ?? undefined,
    models: models.map((values) => ({ values, settings: { ...(hasWeight ? { weight: 1 } : {}), ...own } })),
    settings,
    ...rest,
  });
}

function expectClose(found: Float32Array, expected: Float32Array, tolerance = 2e-6): void {
  expect(found).toHaveLength(expected.length);
  found.forEach((value, i) => {
    expect(Math.abs(value - (expected[i] as number))).toBeLessThanOrEqual(tolerance);
  });
}

const sumAbs = (values: Float32Array) => values.reduce((sum, value) => sum + Math.abs(value), 0);
const zeros = new Float32Array(200);

/** The settings of a method that has to be told something, and how many models to give it besides the base. */
const NEEDED: Readonly<Record<string, PartialSettings>> = { slerp: { t: 0.3 }, nearswap: { t: 0.01 } };
const modelsOf = (method: MergeMethod) => Math.min(3, method.models[1]);

describe('every merge method', () => {
  it.each([...MERGE_METHODS.values()])('$name of identical models is that model', (method) => {
    const model = random(1);
    const models = Array.from({ length: modelsOf(method) }, () => model);
    const base = method.base === 'required' ? model : null;
    expectClose(run(method.name, base, models, NEEDED[method.name]), model);
  });

  it.each([...MERGE_METHODS.values()])(
    '$name leaves its operands alone and repeats itself to the bit',
    (method) => {
      const base = method.base === 'required' ? random(9) : null;
      const models = Array.from({ length: modelsOf(method) }, (_, i) => random(i));
      const own = method.parameters.some(({ name }) => name === 'density') ? { density: 0.5 } : {};
      const before = models.map((model) => model.slice());
      const first = run(method.name, base, models, NEEDED[method.name], own);
      expect(run(method.name, base, models, NEEDED[method.name], own)).toEqual(first);
      expect(models).toEqual(before);
      expect(first.every(Number.isFinite)).toBe(true);
    },
  );

  it.each([...MERGE_METHODS.values()].filter(({ copiesLone }) => copiesLone))(
    '$name copies a tensor that is alone',
    (method) => {
      const only = random(2);
      const found = mergeTensors(method, {
        shape: SHAPE,
        base: method.base === 'required' ? only : undefined,
        models: method.base === 'required' ? [] : [{ values: only, settings: NEEDED_OWN(method) }],
        ...(NEEDED[method.name] ? { settings: NEEDED[method.name] as PartialSettings } : {}),
      });
      expect(found).toEqual(only);
      expect(found.buffer).not.toBe(only.buffer);
    },
  );

  it.each([...MERGE_METHODS.values()])(
    '$name says what each parameter means, and takes its own default',
    (method) => {
      expect(method.summary).not.toBe('');
      expect(method.source).toMatch(/^https:/);
      for (const parameter of method.parameters) {
        expect(parameter.summary).not.toBe('');
        if (parameter.default !== undefined) expect(problemOf(parameter, parameter.default)).toBeNull();
      }
    },
  );

  it.each(['linear', 'ties', 'model_stock', 'task_arithmetic', 'sce', 'ram'])(
    '%s does not depend on the order of the models',
    (name) => {
      const base = name === 'linear' ? null : random(9);
      const [a, b, c] = [random(1), random(2), random(3)];
      const own = name === 'ties' ? { density: 0.5 } : {};
      expectClose(run(name, base, [a, b, c], {}, own), run(name, base, [c, a, b], {}, own));
    },
  );
});

function NEEDED_OWN(method: MergeMethod): PartialSettings {
  return method.parameters.some(({ name }) => name === 'weight') ? { weight: 1 } : {};
}

describe('values that are known', () => {
  it('ties: trimmed, elected, averaged', () => {
    const models = [f32(1, -2, 3, 0.1), f32(2, 1, -3, -0.2)];
    expect(run('ties', f32(0, 0, 0, 0), models, {}, { density: 0.5 })).toEqual(f32(2, -2, 3, 0));
  });

  it('slerp', () => {
    expectClose(run('slerp', f32(1, 0), [f32(0, 2)], { t: 0.25 }), f32(0.92388, 0.765367));
    expectClose(run('slerp', f32(3, 4), [f32(4, -3)], { t: 0.5 }), f32(4.949747, Math.SQRT1_2));
  });

  it('slerp goes straight between almost parallel tensors', () => {
    expectClose(run('slerp', f32(1, 0), [f32(3, 0.01)], { t: 0.5 }), f32(2, 0.005));
  });

  it('multislerp of the axes', () => {
    const axes = [f32(1, 0, 0), f32(0, 1, 0), f32(0, 0, 1)];
    expectClose(run('multislerp', null, axes), f32(0.57735, 0.57735, 0.57735), 1e-5);
  });

  it('model_stock', () => {
    expectClose(run('model_stock', f32(0, 0), [f32(1, 0), f32(1, 1)]), f32(0.828427, 0.414214));
  });

  it('task_arithmetic: base + λ Σ w δ', () => {
    expect(run('task_arithmetic', f32(1), [f32(3), f32(2)], { lambda: 2 }, { weight: 0.5 })).toEqual(f32(4));
  });

  it('linear with weights 1 and 0 is the first model', () => {
    const [a, b] = [random(1), random(2)];
    const models = [a, b].map((values, i) => ({ values, settings: { weight: 1 - i } }));
    expect(mergeTensors(methodOf('linear'), { shape: SHAPE, models })).toEqual(a);
  });

  it('slerp is exact at both ends', () => {
    const [a, b] = [random(1), random(2)];
    expect(run('slerp', a, [b], { t: 0 })).toEqual(a);
    expect(run('slerp', a, [b], { t: 1 })).toEqual(b);
  });

  it('ties of one model at density 1 is task arithmetic', () => {
    expectClose(
      run('ties', random(1), [random(2)], {}, { density: 1 }),
      run('task_arithmetic', random(1), [random(2)]),
    );
  });

  it('passthrough scales, also by 0', () => {
    expect(run('passthrough', null, [f32(1, -2)], {}, { scale: 0.5 })).toEqual(f32(0.5, -1));
    expect(run('passthrough', null, [f32(1, 2)], {}, { scale: 0 })).toEqual(f32(0, 0));
  });

  it.each([
    [0.1, 20],
    [0.555, 111],
    [0.995, 199],
  ])('ties keeps exactly ⌊%f · n⌋ entries, the largest', (density, count) => {
    const model = random(4);
    const kept = run('ties', zeros, [model], { normalize: false }, { density });
    const dropped = model.filter((_, i) => kept[i] === 0).map(Math.abs);
    const stayed = kept.filter((value) => value !== 0).map(Math.abs);
    expect(stayed).toHaveLength(count);
    expect(Math.min(...stayed)).toBeGreaterThanOrEqual(Math.max(...dropped));
  });

  it('breadcrumbs drops the outliers and keeps the share that density says', () => {
    const model = random(4);
    const kept = run('breadcrumbs', zeros, [model], {}, { density: 0.5, gamma: 0.1 });
    const order = [...model].map(Math.abs).sort((x, y) => y - x);
    expect(kept.filter((value) => value !== 0)).toHaveLength(100);
    expect(Math.max(...kept.map(Math.abs))).toBe(order[20]);
  });
});

describe('methods that choose at random', () => {
  const delta = random(5, 4000);
  const nothing = new Float32Array(4000);
  const drop = (name: string, seed: number, settings: PartialSettings = {}, own: PartialSettings = {}) =>
    run(name, nothing, [delta], settings, { density: 0.4, ...own }, { stream: new Philox(seed) });
  const NAMES = ['dare_linear', 'dare_ties', 'della', 'della_linear'];

  it.each(NAMES)('%s at density 1 is the identity', (name) => {
    expectClose(drop(name, 1, {}, { density: 1 }), delta);
  });

  it.each(NAMES)('%s keeps the sum of magnitudes, as mergekit does', (name) => {
    expect(sumAbs(drop(name, 2)) / sumAbs(delta)).toBeCloseTo(1, 5);
  });

  it.each(NAMES)('%s draws the same mask for the same seed only', (name) => {
    expect(drop(name, 9)).toEqual(drop(name, 9));
    expect(drop(name, 9)).not.toEqual(drop(name, 10));
  });

  it('dare keeps the share of entries that density says, on average over 1,000 masks', () => {
    let kept = 0;
    for (let seed = 0; seed < 1000; seed++) {
      const mask = run(
        'dare_linear',
        zeros,
        [delta.subarray(0, 200)],
        {},
        { density: 0.3 },
        { stream: new Philox(seed) },
      );
      kept += mask.filter((value) => value !== 0).length;
    }
    expect(Math.abs(kept / 200_000 / 0.3 - 1)).toBeLessThan(0.01);
  });

  it('dare keeps the expectation with inverse_density, as its paper does', () => {
    const sums = new Float64Array(200);
    for (let seed = 0; seed < 2000; seed++) {
      const stream = new Philox(seed);
      run(
        'dare_linear',
        zeros,
        [delta.subarray(0, 200)],
        { rescale: 'inverse_density' },
        { density: 0.5 },
        { stream },
      ).forEach((value, i) => {
        sums[i] = (sums[i] as number) + value;
      });
    }
    // Standard error of the mean is |δ| / √2000 = 0.022 |δ|: five of them.
    sums.forEach((sum, i) => {
      const expected = delta[i] as number;
      expect(Math.abs(sum / 2000 - expected)).toBeLessThan(0.112 * Math.abs(expected) + 1e-6);
    });
  });

  it('leaves what stays alone without rescaling', () => {
    drop('dare_linear', 3, { rescale: false }).forEach((value, i) => {
      expect([0, delta[i]]).toContain(value);
    });
  });

  it('della keeps larger entries of a row with higher probability', () => {
    // .1, -.4, .2, -.3 at density .5, epsilon .1: probabilities .4, .6, .466667, .533333.
    const kept = [0, 0, 0, 0];
    for (let seed = 0; seed < 4000; seed++) {
      const options = { stream: new Philox(seed) };
      const own = { density: 0.5, epsilon: 0.1 };
      run(
        'della_linear',
        f32(0, 0, 0, 0),
        [f32(0.1, -0.4, 0.2, -0.3)],
        { rescale: false },
        own,
        options,
      ).forEach((value, i) => {
        if (value !== 0) kept[i] = (kept[i] as number) + 1;
      });
    }
    // Standard error √(.25/4000) = .008: four of them.
    [0.4, 0.6, 0.466667, 0.533333].forEach((probability, i) => {
      expect(Math.abs((kept[i] as number) / 4000 - probability)).toBeLessThan(0.032);
    });
  });

  it('gives each model a mask of its own', () => {
    const both = run('dare_linear', nothing, [delta, delta], {}, { density: 0.5 }, { stream: new Philox(1) });
    const one = run('dare_linear', nothing, [delta], {}, { density: 0.5 }, { stream: new Philox(1) });
    expect(both.filter((value) => value !== 0).length).toBeGreaterThan(
      1.2 * one.filter((value) => value !== 0).length,
    );
  });
});

describe('mergeTensors() refuses', () => {
  it.each<[string, string, () => Float32Array, RegExp]>([
    ['no model', 'linear', () => mergeTensors(methodOf('linear'), { shape: [1], models: [] }), /0 models/],
    ['no base', 'ties', () => run('ties', null, [f32(1), f32(2)]), /needs a base/],
    [
      'a base that is one of the models',
      'karcher',
      () => run('karcher', f32(1), [f32(1), f32(2)]),
      /has no base/,
    ],
    [
      'too many',
      'slerp',
      () => run('slerp', f32(1), [f32(1), f32(2)], { t: 0 }),
      /2 models; it takes exactly 1/,
    ],
    ['too few', 'model_stock', () => run('model_stock', f32(1), [f32(2)]), /at least 2 besides the base/],
    [
      'lengths that differ',
      'linear',
      () => run('linear', null, [f32(1), f32(1, 2)]),
      /model 1 has 2 elements/,
    ],
    ['a setting that is missing', 'slerp', () => run('slerp', f32(1), [f32(2)]), /parameter t is missing/],
    [
      'one out of bounds',
      'ties',
      () => run('ties', f32(1), [f32(2)], {}, { density: 0 }),
      /density is 0; a number above 0/,
    ],
    [
      'one that is no number',
      'ties',
      () => run('ties', f32(1), [f32(2)], {}, { density: Number.NaN }),
      /density/,
    ],
    ['one it does not have', 'linear', () => run('linear', null, [f32(1)], { t: 1 }), /has no parameter t/],
    [
      'a kind of rescaling there is not',
      'dare_ties',
      () => run('dare_ties', f32(1), [f32(2)], { rescale: 'l7' }),
      /inverse_density/,
    ],
  ])('%s (%s)', (_, __, call, message) => {
    expect(call).toThrow(MergeOperandError);
    expect(call).toThrow(message);
  });

  it('a della whose probabilities leave (0, 1)', () => {
    expect(() => run('della', f32(1, 2), [f32(2, 5)], {}, { density: 0.9 })).toThrow(/epsilon/);
  });
});
