import fc from 'fast-check';
import { findCycles } from './cycles.js';

describe('findCycles()', () => {
  it('finds none in a chain, a diamond and an empty graph', () => {
    expect(findCycles([])).toEqual([]);
    expect(findCycles([[], [0], [1]])).toEqual([]);
    expect(findCycles([[], [0], [0], [1, 2]])).toEqual([]);
  });

  it('names a node that waits for itself', () => {
    expect(findCycles([[0]])).toEqual([[0]]);
  });

  it('names the nodes of a cycle and not those behind it', () => {
    const [cycle] = findCycles([[2], [0], [1], [2], []]);
    expect([...(cycle ?? [])].sort()).toEqual([0, 1, 2]);
  });

  it('names two separate cycles', () => {
    expect(findCycles([[1], [0], [3], [2]])).toHaveLength(2);
  });

  it('takes 10,000 nodes in a line without deep recursion', () => {
    const line = Array.from({ length: 10_000 }, (_, i) => (i === 0 ? [9_999] : [i - 1]));
    expect(findCycles(line)[0]).toHaveLength(10_000);
  });

  it('finds a cycle exactly when there is one', () => {
    const edges = fc.array(fc.array(fc.nat(11), { maxLength: 3 }), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(edges, (raw) => {
        const dependencies = raw.map((list) => [...new Set(list)]);
        const cycles = findCycles(dependencies);
        expect(cycles.length > 0).toBe(hasCycle(dependencies));
        for (const cycle of cycles)
          cycle.forEach((node, i) => {
            expect(dependencies[node]).toContain(cycle[(i + 1) % cycle.length]);
          });
      }),
    );
  });
});

/** Straightforward depth-first search, for comparison. */
function hasCycle(dependencies: readonly (readonly number[])[]): boolean {
  const state = new Map<number, 'open' | 'done'>();
  const visit = (node: number): boolean => {
    if (state.get(node) === 'open') return true;
    if (state.get(node) === 'done') return false;
    state.set(node, 'open');
    const found = (dependencies[node] ?? []).some(visit);
    state.set(node, 'done');
    return found;
  };
  return dependencies.some((_, node) => visit(node));
}
