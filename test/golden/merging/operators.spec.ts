import { readFileSync } from 'node:fs';
import { MERGE_METHODS, type MergeMethod, mergeTensors, type ParameterValue } from '@agentforge/merging';

interface GoldenCase {
  readonly method: string;
  readonly models: number;
  readonly base: boolean;
  readonly own: Readonly<Record<string, readonly number[]>>;
  readonly parameters: Readonly<Record<string, ParameterValue>>;
  readonly merged: readonly number[];
}

const { shape, cases } = JSON.parse(readFileSync(new URL('operators.json', import.meta.url), 'utf8')) as {
  shape: readonly [number, number];
  cases: readonly GoldenCase[];
};

/** The tensors of make_operators_golden.py. */
function tensorOf(model: number): Float32Array {
  return Float32Array.from({ length: shape[0] * shape[1] }, (_, index) => {
    const noise = ((index * (30_011 + 7478 * model) + 1237 * model) % 65_536) - 32_768;
    const shared = ((index * 40_503) % 65_536) - 32_768;
    return (3 * shared + (model > 0 ? noise : 0)) / 65_536;
  });
}

/** mergekit computes in f32, with sums in another order: some units in the last place of numbers up to 2. */
const TOLERANCE = 4e-6;

describe('merge methods beside mergekit', () => {
  it('has every method of mergekit', () => {
    expect([...new Set(cases.map(({ method }) => method))].sort()).toEqual([...MERGE_METHODS.keys()].sort());
    expect(MERGE_METHODS.size).toBe(20);
  });

  it.each(cases.map((one) => [`${one.method} ${JSON.stringify({ ...one.own, ...one.parameters })}`, one] as const))(
    '%s',
    (_, { method, models, base, own, parameters, merged }) => {
      const found = mergeTensors(MERGE_METHODS.get(method) as MergeMethod, {
        shape,
        base: base ? tensorOf(0) : undefined,
        models: Array.from({ length: models }, (__, i) => ({
          values: tensorOf(i + 1),
          settings: Object.fromEntries(Object.entries(own).map(([name, values]) => [name, values[i]])),
        })),
        settings: parameters,
      });
      const furthest = merged.reduce((most, value, i) => Math.max(most, Math.abs(value - (found[i] as number))), 0);
      expect(found).toHaveLength(merged.length);
      expect(furthest).toBeLessThan(TOLERANCE);
    },
  );
});
