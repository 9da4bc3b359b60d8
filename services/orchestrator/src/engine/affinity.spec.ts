import fc from 'fast-check';
import { Affinity, REPLICA_SILENCE_MS } from './affinity.js';

const RUN = 'projects/p/runs/r';

describe('Affinity', () => {
  it('leaves a run alone while its owner is heard, however silent the run is', () => {
    const clock = { ms: 0 };
    const affinity = new Affinity('b', () => clock.ms);
    affinity.hear('a');
    expect(affinity.mayTakeOver(RUN, 'a', 3_600_000, 1_000)).toBe(false);
    clock.ms = REPLICA_SILENCE_MS;
    expect(affinity.mayTakeOver(RUN, 'a', 3_600_000, 1_000)).toBe(false);
    clock.ms += 1;
    expect(affinity.mayTakeOver(RUN, 'a', 3_600_000, 1_000)).toBe(true);
  });

  it('takes over at once from an owner that left, and its own runs', () => {
    const affinity = new Affinity('b', () => 0);
    affinity.hear('a');
    affinity.leave('a');
    expect(affinity.mayTakeOver(RUN, 'a', 1_001, 1_000)).toBe(true);
    expect(affinity.mayTakeOver(RUN, 'b', 1_001, 1_000)).toBe(true);
    expect(affinity.mayTakeOver(RUN, 'b', 1_000, 1_000)).toBe(false);
  });

  it('of any live replicas has exactly one preferred for a run, the others follow after twice the time', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(names, fc.string(), (replicas, run) => {
        const all = replicas.map((self) => {
          const affinity = new Affinity(self, () => 0);
          for (const other of replicas) if (other !== self) affinity.hear(other);
          return affinity;
        });
        const early = all.filter((affinity) => affinity.mayTakeOver(run, '', 1_500, 1_000));
        expect(early).toHaveLength(1);
        expect(all.filter((affinity) => affinity.mayTakeOver(run, '', 2_001, 1_000))).toHaveLength(
          all.length,
        );
      }),
    );
  });

  it('spreads runs, and moves only those of a replica that is gone', () => {
    const replicas = ['a', 'b', 'c', 'd'];
    const preferred = (run: string, live: readonly string[]) =>
      live.find((self) => {
        const affinity = new Affinity(self, () => 0);
        for (const other of live) affinity.hear(other);
        return affinity.isPreferred(run);
      });
    const counts = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      const run = `projects/p/runs/run-${i}`;
      const before = preferred(run, replicas) ?? '';
      counts.set(before, (counts.get(before) ?? 0) + 1);
      if (before !== 'd') expect(preferred(run, ['a', 'b', 'c'])).toBe(before);
    }
    for (const replica of replicas) expect(counts.get(replica)).toBeGreaterThan(50);
  });

  it('keeps a bounded number of names in mind', () => {
    const affinity = new Affinity('self', () => 0);
    for (let i = 0; i < 1_500; i++) affinity.hear(`r${i}`);
    expect(affinity.isAlive('r0')).toBe(false);
    expect(affinity.isAlive('r1499')).toBe(true);
  });
});
