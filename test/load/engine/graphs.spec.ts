import { chain, lanes } from './graphs.mjs';

describe('graphs', () => {
  it('chain() is one step after another', () => {
    expect(chain('x', 3).steps.map(({ id, after }) => [id, after])).toEqual([
      ['s0', []],
      ['s1', ['s0']],
      ['s2', ['s1']],
    ]);
  });

  it('lanes() are chains side by side that meet in a last step', () => {
    const { steps } = lanes('x', 2, 2);
    expect(steps.map(({ id, after }) => [id, after])).toEqual([
      ['s0-0', []],
      ['s0-1', []],
      ['s1-0', ['s0-0']],
      ['s1-1', ['s0-1']],
      ['last', ['s1-0', 's1-1']],
    ]);
    expect(lanes('x', 99, 101).steps).toHaveLength(10_000);
  });
});
