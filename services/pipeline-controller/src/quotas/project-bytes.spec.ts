import fc from 'fast-check';
import { ProjectBytes } from './project-bytes.js';

interface Mention {
  readonly project: string;
  readonly digest: string;
  readonly timeMs: number;
  readonly offset: number;
}

describe('ProjectBytes', () => {
  const mention = fc.record({
    project: fc.constantFrom('', 'p', 'q', 'r'),
    digest: fc.constantFrom('x', 'y', 'z'),
    timeMs: fc.integer({ min: 0, max: 3 }),
    offset: fc.integer({ min: 0, max: 2 }),
  });
  const SIZES: Readonly<Record<string, bigint>> = { x: 1n, y: 10n, z: 100n };
  const ownersOf = (mentions: readonly Mention[]) => {
    const bytes = new ProjectBytes();
    for (const { project, digest, timeMs, offset } of mentions)
      bytes.add(project, { digest, sizeBytes: SIZES[digest] ?? 0n }, { timeMs, offset });
    return {
      owners: ['x', 'y', 'z'].map((digest) => bytes.ownerOf(digest)),
      totals: ['p', 'q', 'r'].map((project) => bytes.of(project)),
    };
  };

  it('gives content to whoever stored it first, in whatever order it is told, and counts it once', () => {
    fc.assert(
      fc.property(fc.array(mention, { maxLength: 20 }), fc.infiniteStream(fc.nat()), (mentions, random) => {
        const shuffled = mentions
          .map((value) => ({ value, key: random.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ value }) => value);
        const told = ownersOf(mentions);
        expect(ownersOf(shuffled)).toEqual(told);
        const first = mentions
          .filter(({ project, digest }) => project !== '' && digest === 'x')
          .sort((a, b) => a.timeMs - b.timeMs || a.offset - b.offset || (a.project < b.project ? -1 : 1))[0];
        expect(told.owners[0]).toBe(first?.project ?? '');
        const owned = ['x', 'y', 'z'].filter((_, i) => told.owners[i] !== '');
        expect(told.totals.reduce((sum, value) => sum + value, 0)).toBe(
          owned.reduce((sum, digest) => sum + Number(SIZES[digest]), 0),
        );
      }),
    );
  });
});
