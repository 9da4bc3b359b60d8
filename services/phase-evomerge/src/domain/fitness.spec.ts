import { presetConfig, titansMag } from '@agentforge/model';
import { distinctNames, requireCompatible } from './compatibility.js';
import { diversityOf, sketch } from './diversity.js';
import { fitnessOf } from './fitness.js';
import { judge } from './verdict.js';

const weights = { perplexity: 0.4, tasks: 0.3, speed: 0.2, size: 0.1 };
const reference = { lossNats: 4, flopPerToken: 100, parameters: 10 };

describe('fitnessOf()', () => {
  it('is 1 for the reference', () => {
    expect(fitnessOf(reference, reference, weights)).toBe(1);
  });

  it('is the weighted geometric mean of the ratios, without the parts that were not measured', () => {
    const measured = { lossNats: 3.5, flopPerToken: 200, parameters: 5 };
    const expected = Math.exp((0.4 * 0.5 + 0.2 * Math.log(0.5) + 0.1 * Math.log(2)) / 0.7);
    expect(fitnessOf(measured, reference, weights)).toBeCloseTo(expected, 12);
  });

  it('counts tasks when both were measured on them', () => {
    const a = { ...reference, taskAccuracy: 0.8 };
    const b = { ...reference, taskAccuracy: 0.4 };
    expect(fitnessOf(a, b, weights)).toBeGreaterThan(1);
    expect(fitnessOf(b, b, weights)).toBe(1);
    expect(fitnessOf({ ...a, taskAccuracy: 0 }, b, weights)).toBeGreaterThan(0);
  });

  it('is 0 for a broken model', () => {
    expect(fitnessOf({ ...reference, lossNats: Number.NaN }, reference, weights)).toBe(0);
  });
});

describe('judge()', () => {
  it.each([
    [{ best: 3.9, parents: [4, 4.1], uniform: 3.95 }, 'improved'],
    [{ best: 3.9, parents: [3.8, 4.1], uniform: 3.95 }, 'no_gain'],
    [{ best: 3.9, parents: [4, 4.1], uniform: 3.8 }, 'no_gain'],
    [{ best: 3.9, parents: [3.9, 4.1], uniform: 4 }, 'no_gain'],
  ])('of %j is %s', (losses, outcome) => {
    expect(judge(losses)).toBe(outcome);
  });
});

describe('diversityOf()', () => {
  const at = (...values: number[]) => Float32Array.from(values);
  const parents = [at(0, 0), at(4, 0)];

  it('is 1 for a population as spread out as its parents, and not more', () => {
    expect(diversityOf(parents, parents)).toBe(1);
    expect(diversityOf([at(0, 0), at(9, 0)], parents)).toBe(1);
  });

  it('is the ratio of mean distances', () => {
    expect(diversityOf([at(1, 0), at(2, 0)], parents)).toBe(0.25);
  });

  it('is 0 for clones and for equal parents', () => {
    expect(diversityOf([at(1, 0), at(1, 0)], parents)).toBe(0);
    expect(diversityOf(parents, [at(1, 0), at(1, 0)])).toBe(0);
  });

  it('sees through the sample that a sketch is', () => {
    const weights = new Map([
      ['a', new Float32Array(100_000).fill(1)],
      ['b', new Float32Array(60_000).fill(2)],
    ]);
    const sampled = sketch(weights, ['a', 'b']);
    expect(sampled.length).toBeLessThanOrEqual(65_536);
    expect(sampled.filter((value) => value === 2).length / sampled.length).toBeCloseTo(6 / 16, 3);
  });
});

describe('requireCompatible()', () => {
  const config = presetConfig('pico');
  const model = { name: 'a', config, tokenizer: Uint8Array.of(1) };

  it('accepts models of one kind', () => {
    expect(() => requireCompatible([model, { ...model, name: 'b' }])).not.toThrow();
  });

  it('names every difference of every model', () => {
    const other = { name: 'b', config: presetConfig('nano'), tokenizer: Uint8Array.of(2) };
    const fields = () => {
      try {
        requireCompatible([model, other, { ...model, name: 'c', tokenizer: Uint8Array.of(3) }]);
      } catch (error) {
        return (error as { fieldViolations: { field: string }[] }).fieldViolations.map(({ field }) => field);
      }
      return [];
    };
    expect(fields()).toEqual([
      'inputs.models[1].config.vocabSize',
      'inputs.models[1].config.numLayers',
      'inputs.models[1].config.intermediateSize',
      'inputs.models[1].config.contextLength',
      'inputs.models[1].tokenizer',
      'inputs.models[2].tokenizer',
    ]);
  });

  it('compares windows and memories by value, and names what only one model has', () => {
    const titans = () => titansMag(config);
    expect(() =>
      requireCompatible([
        { ...model, config: titans() },
        { ...model, name: 'b', config: titans() },
      ]),
    ).not.toThrow();
    const other = titansMag(config, { memory: { max_step: 0.3 } });
    const violations = (...configs: (typeof config)[]) => {
      try {
        requireCompatible(configs.map((one, i) => ({ ...model, name: `m${i}`, config: one })));
      } catch (error) {
        return (error as { fieldViolations: { field: string; description: string }[] }).fieldViolations;
      }
      return [];
    };
    expect(violations(titans(), other)).toEqual([
      { field: 'inputs.models[1].config.memory.maxStep', description: 'is 0.3 in m1, 0.5 in m0' },
    ]);
    expect(violations(config, titans())).toContainEqual({
      field: 'inputs.models[1].config.slidingWindow',
      description: 'is 64 in m1, absent in m0',
    });
  });
});

it('distinctNames() numbers what occurs again', () => {
  expect(distinctNames(['a', 'b', 'a', 'a'])).toEqual(['a', 'b', 'a#2', 'a#3']);
});
