import { LineageIndex, type LineageStepEntry } from './lineage-index.js';

const step = (
  name: string,
  at: number,
  { reads = [], makes = [] }: { reads?: string[]; makes?: string[] },
): LineageStepEntry => ({
  step: name,
  at,
  reads: reads.map((digest) => ['in', digest] as const),
  makes: makes.map((digest) => ['out', digest] as const),
});
const ids = (steps: readonly { readonly id: string }[]) => steps.map(({ id }) => id);

describe('LineageIndex', () => {
  it('names the steps that made and read an artifact, oldest first, whatever the order they are told in', () => {
    const index = new LineageIndex();
    index.restore('r2', [step('a', 20, { reads: ['x'], makes: ['y'] })]);
    index.restore('r1', [step('a', 10, { makes: ['x'] }), step('b', 12, { reads: ['x'], makes: ['y'] })]);
    expect(ids(index.makersOf('x'))).toEqual(['r1/steps/a']);
    expect(ids(index.makersOf('y'))).toEqual(['r1/steps/b', 'r2/steps/a']);
    expect(ids(index.readersOf('x'))).toEqual(['r1/steps/b', 'r2/steps/a']);
    expect(index.makersOf('z')).toEqual([]);
  });

  it('knows a step as it was done last', () => {
    const index = new LineageIndex();
    index.restore('r', [step('a', 1, { makes: ['x', 'y'] }), step('b', 2, { makes: ['x'] })]);
    index.restore('r', [step('a', 3, { makes: ['z'] })]);
    expect(ids(index.makersOf('x'))).toEqual(['r/steps/b']);
    expect(index.makersOf('y')).toEqual([]);
    expect(ids(index.makersOf('z'))).toEqual(['r/steps/a']);
    index.restore('r', [step('a', 4, {}), step('b', 5, {})]);
    expect(index.ofRun('r')).toEqual([]);
    expect(index.makersOf('x')).toEqual([]);
  });

  it('keeps for snapshots what has a place in a lineage, and nothing else', () => {
    const index = new LineageIndex();
    const used = step('b', 2, { reads: ['x'] });
    index.restore('r', [step('a', 1, {}), used]);
    expect(index.ofRun('r')).toEqual([used]);
  });

  it('forgets the oldest runs when it has too many steps, also those that come again', () => {
    const index = new LineageIndex(4);
    for (let i = 0; i < 50; i++) {
      const run = `r${i % 7}`;
      index.restore(run, [step('a', i, { makes: [`d${i}`] }), step('b', i, { makes: ['shared'] })]);
      expect(ids(index.makersOf(`d${i}`))).toEqual([`${run}/steps/a`]);
      const kept = Array.from({ length: 7 }, (_, r) => index.ofRun(`r${r}`).length);
      expect(kept.reduce((sum, n) => sum + n)).toBe(Math.min(4, 2 * (i + 1)));
      expect(index.makersOf('shared')).toHaveLength(Math.min(2, i + 1));
      expect(index.makersOf(`d${i - 2}`)).toEqual([]);
    }
  });
});
