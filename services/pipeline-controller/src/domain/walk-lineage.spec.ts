import { type WalkedStep, walkLineage } from './walk-lineage.js';

const step = (id: string, reads: string[], makes: string[]): WalkedStep => ({
  id,
  reads: reads.map((digest) => ['in', digest] as const),
  makes: makes.map((digest) => ['out', digest] as const),
});

/** corpus → train → a, b → merge → c → again → c (its own output once more) */
const STEPS = [
  step('train', ['corpus'], ['a', 'b']),
  step('merge', ['a', 'b', 'corpus'], ['c']),
  step('again', ['c'], ['c']),
  step('apart', ['x'], ['y']),
];

const up = (digest: string, depth = 16) => walk(digest, 'up', depth);
const down = (digest: string, depth = 16) => walk(digest, 'down', depth);
function walk(digest: string, direction: 'up' | 'down', depth: number): string[] {
  const stepsOf = (of: string) =>
    STEPS.filter(({ reads, makes }) =>
      (direction === 'up' ? makes : reads).some(([, found]) => found === of),
    );
  return [...walkLineage(digest, direction, depth, stepsOf)].map(({ from, to }) => `${from}>${to}`);
}

describe('walkLineage()', () => {
  it('follows an artifact to all that it was made from, nearest first, each edge once', () => {
    expect(up('c')).toEqual([
      'merge>c',
      'a>merge',
      'b>merge',
      'corpus>merge',
      'again>c',
      'c>again',
      'train>a',
      'corpus>train',
      'train>b',
    ]);
  });

  it('follows it to all that was made from it', () => {
    expect(down('a')).toEqual(['a>merge', 'merge>c', 'c>again', 'again>c']);
    expect(down('corpus')).toHaveLength(9);
    expect(up('corpus')).toEqual([]);
    expect(down('y')).toEqual([]);
  });

  it('goes so many steps deep and no further', () => {
    expect(up('c', 1)).toEqual(['merge>c', 'a>merge', 'b>merge', 'corpus>merge', 'again>c', 'c>again']);
    expect(down('corpus', 1)).toEqual(['corpus>train', 'train>a', 'train>b', 'corpus>merge', 'merge>c']);
  });
});
