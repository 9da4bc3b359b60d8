import fc from 'fast-check';
import { EndOrder } from './end-order.js';

interface Run {
  readonly name: string;
  readonly sequence: bigint;
  live: object | undefined;
  endMs: number;
}

/** Runs of which some ended, some of those were retried, and some of those ended again. */
const histories = fc
  .array(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 3 }), { maxLength: 12 })
  .map((ends) => {
    const order = new EndOrder<Run>();
    const runs = ends.map((times, i): Run => {
      const run: Run = { name: `r${i}`, sequence: BigInt(i + 1), live: {}, endMs: 0 };
      times.forEach((endMs, k) => {
        run.live = k % 2 === 0 ? undefined : {};
        run.endMs = endMs;
        if (run.live === undefined) order.add(run, endMs);
      });
      return run;
    });
    return { order, runs };
  });

describe('EndOrder', () => {
  it('lists every run once, by its last end and then its creation, in pages of any size', () => {
    fc.assert(
      fc.property(
        histories,
        fc.boolean(),
        fc.integer({ min: 1, max: 5 }),
        ({ order, runs }, isDescending, size) => {
          const key = (run: Run): [number, number] => [
            run.live === undefined ? run.endMs : Number.POSITIVE_INFINITY,
            Number(run.sequence),
          ];
          const expected = [...runs]
            .sort((a, b) => {
              const [[x, i], [y, j]] = [key(a), key(b)];
              return x === y ? i - j : x - y;
            })
            .map(({ name }) => name);
          if (isDescending) expected.reverse();
          const byCreation = isDescending ? [...runs].reverse() : runs;
          const seen: string[] = [];
          let after: { sequence: bigint; offset: number } | undefined;
          for (;;) {
            const page = [...order.from(after, isDescending, byCreation)].slice(0, size);
            seen.push(...page.map(({ entry }) => entry.name));
            after = page.at(-1);
            if (after === undefined) break;
          }
          expect(seen).toEqual(expected);
        },
      ),
    );
  });
});
