import fc from 'fast-check';
import {
  byAge,
  type Grant,
  type Plan,
  type ProjectFacts,
  plan,
  type Request,
  type Situation,
} from './plan.js';
import { type Amounts, dominantShare, fits, isSomething, minus, NOTHING, plus } from './resources.js';

const GIB = 2 ** 30;
const amounts = (over: Partial<Amounts>): Amounts => ({ ...NOTHING, ...over });
const pool = (name: string, total: Partial<Amounts>, phases: readonly string[] = ['noop']) => ({
  name,
  total: amounts(total),
  phases: new Set(phases),
});
const FREE: ProjectFacts = { maxRunningRuns: 0, maxRunningSteps: 0, weight: 1, runs: new Set(), steps: 0 };
const request = (id: string, over: Partial<Request> = {}): Request => ({
  id,
  run: `run-${id}`,
  project: 'p',
  phase: 'noop',
  priority: 0,
  sinceMs: 0,
  amounts: amounts({ cpu: 1 }),
  ...over,
});
const situation = (over: Partial<Situation>): Situation => ({
  pools: [pool('host', { cpu: 4, memoryBytes: 8 * GIB })],
  grants: [],
  requests: [],
  projectOf: () => FREE,
  nowMs: 1_000,
  patienceMs: 10_000,
  ...over,
});
const ids = ({ grants }: Plan): string[] => grants.map(({ id }) => id);

describe('plan()', () => {
  it('grants what fits, oldest first, and says what the others miss and their place', () => {
    const requests = ['a', 'b', 'c'].map((id, i) =>
      request(id, { sinceMs: 10 - i, amounts: amounts({ cpu: 2 }) }),
    );
    const { grants, refusals } = plan(situation({ requests }));
    expect(grants.map(({ id, pool: name }) => [id, name])).toEqual([
      ['c', 'host'],
      ['b', 'host'],
    ]);
    expect(refusals.get('a')).toEqual({
      kind: 'resources',
      position: 1,
      pool: 'host',
      missing: amounts({ cpu: 2 }),
      isTooLarge: false,
    });
  });

  it('serves higher priorities first, then projects in turn', () => {
    const requests = [
      request('a1'),
      request('a2'),
      request('a3'),
      request('b1', { project: 'q', sinceMs: 5 }),
      request('b2', { project: 'q', sinceMs: 5 }),
      request('c', { project: 'r', priority: 1, sinceMs: 9 }),
    ];
    expect(ids(plan(situation({ requests })))).toEqual(['c', 'a1', 'b1', 'a2']);
  });

  it('gives projects what their weights say', () => {
    const requests = Array.from({ length: 40 }, (_, i) =>
      request(`${i}`, { project: i % 2 ? 'heavy' : 'light' }),
    );
    const pools = [pool('host', { cpu: 16 })];
    const projectOf = (name: string) => ({ ...FREE, weight: name === 'heavy' ? 3 : 1 });
    const { grants } = plan(situation({ requests, pools, projectOf }));
    const count = (name: string) => grants.filter(({ project }) => project === name).length;
    expect([count('heavy'), count('light')]).toEqual([12, 4]);
  });

  it('numbers accelerators, and takes only such as have the memory', () => {
    const pools = [
      pool('small', { gpus: 4, gpuMemoryBytes: 8 * GIB }),
      pool('large', { gpus: 2, gpuMemoryBytes: 80 * GIB }),
    ];
    const held: Grant = {
      id: 'h',
      run: 'r',
      project: 'p',
      pool: 'large',
      amounts: amounts({ gpus: 1 }),
      gpuIndices: [0],
    };
    const asked = amounts({ gpuMemoryBytes: 40 * GIB });
    const requests = [request('a', { amounts: asked }), request('b', { sinceMs: 1, amounts: asked })];
    const { grants, refusals } = plan(situation({ pools, grants: [held], requests }));
    expect(grants).toMatchObject([{ id: 'a', pool: 'large', gpuIndices: [1], amounts: { gpus: 1 } }]);
    expect(refusals.get('b')).toMatchObject({ kind: 'resources', pool: 'large', missing: { gpus: 1 } });
  });

  it('keeps to the limits of a project: runs that may start, steps in progress', () => {
    const facts = { ...FREE, maxRunningRuns: 2, maxRunningSteps: 3, runs: new Set(['old']), steps: 1 };
    const none = { amounts: NOTHING };
    const requests = [
      request('a', { run: 'new', ...none }),
      request('b', { run: 'other', sinceMs: 1, ...none }),
      request('c', { run: 'old', sinceMs: 2, ...none }),
      request('d', { run: 'new', sinceMs: 3, ...none }),
      request('e', { project: 'q', run: 'free', sinceMs: 4, ...none }),
    ];
    const projectOf = (name: string) => (name === 'p' ? facts : FREE);
    const { grants, refusals } = plan(situation({ requests, projectOf, pools: [] }));
    expect(grants.map(({ id }) => id)).toEqual(['a', 'c', 'e']);
    expect(refusals.get('b')).toEqual({ kind: 'project-runs', limit: 2, position: 1 });
    expect(refusals.get('d')).toEqual({ kind: 'project-steps', limit: 3, position: 2 });
  });

  it('tells a phase without a pool from a request that is too large', () => {
    const requests = [request('a', { phase: 'other' }), request('b', { amounts: amounts({ cpu: 64 }) })];
    const { refusals } = plan(situation({ requests }));
    expect(refusals.get('a')).toEqual({ kind: 'no-pool', position: 1 });
    expect(refusals.get('b')).toMatchObject({ kind: 'resources', isTooLarge: true, missing: { cpu: 60 } });
  });

  it('sets aside what is free for a request that was passed by for too long, and nothing else', () => {
    const grants: Grant[] = [
      { id: 'h', run: 'r', project: 'z', pool: 'host', amounts: amounts({ cpu: 2 }), gpuIndices: [] },
    ];
    const large = request('large', { amounts: amounts({ cpu: 4 }) });
    const requests = [
      large,
      request('small', { sinceMs: 500 }),
      request('memory', { sinceMs: 500, amounts: amounts({ memoryBytes: GIB }) }),
    ];
    expect(ids(plan(situation({ grants, requests })))).toEqual(['memory', 'small']);
    expect(ids(plan(situation({ grants, requests, nowMs: 20_000 })))).toEqual(['memory']);
  });
});

const PROJECTS = ['p', 'q', 'r'];
const arbitraryAmounts = fc.record({
  cpu: fc.constantFrom(0, 0.5, 1, 2, 3),
  memoryBytes: fc.constantFrom(0, 1, 2, 5),
  gpus: fc.constantFrom(0, 0, 1, 2),
  gpuMemoryBytes: fc.constantFrom(0, 0, 4, 8),
});
const arbitraryRequests = fc
  .array(
    fc.record({
      run: fc.constantFrom('r1', 'r2', 'r3', 'r4'),
      project: fc.constantFrom(...PROJECTS),
      phase: fc.constantFrom('noop', 'other'),
      priority: fc.constantFrom(-1, 0, 1),
      sinceMs: fc.nat(20),
      amounts: arbitraryAmounts,
    }),
    { maxLength: 14 },
  )
  .map((list) =>
    list.map((value, i): Request => ({ id: `a${i}`, ...value, run: `${value.project}/${value.run}` })),
  );
const arbitraryPools = fc
  .array(
    fc.record({
      cpu: fc.nat(5),
      memoryBytes: fc.nat(8),
      gpus: fc.nat(3),
      gpuMemoryBytes: fc.constantFrom(0, 4, 8),
      phases: fc.subarray(['noop', 'other'], { minLength: 1 }),
    }),
    { maxLength: 3 },
  )
  .map((list) => list.map(({ phases, ...total }, i) => pool(`pool${i}`, total, phases)));
const arbitraryFacts = fc.record({
  maxRunningRuns: fc.nat(2),
  maxRunningSteps: fc.nat(4),
  weight: fc.constantFrom(1, 2),
});
const arbitrarySituation = fc
  .record({
    requests: arbitraryRequests,
    pools: arbitraryPools,
    facts: fc.tuple(arbitraryFacts, arbitraryFacts, arbitraryFacts),
  })
  .map(({ requests, pools, facts }) =>
    situation({
      requests,
      pools,
      patienceMs: Number.POSITIVE_INFINITY,
      projectOf: (name) => ({ ...FREE, ...facts[PROJECTS.indexOf(name)] }),
    }),
  );

/** What each pool has free after grants, and what projects hold: by adding everything up again each time. */
function sums({ pools, projectOf }: Situation, grants: readonly Grant[]) {
  const total = pools.map((one) => one.total).reduce(plus, NOTHING);
  const of = (project: string) => grants.filter((grant) => grant.project === project);
  return {
    free: (name: string) =>
      grants
        .filter((grant) => grant.pool === name)
        .reduce(
          (free, grant) => minus(free, grant.amounts),
          pools.find((one) => one.name === name)?.total ?? NOTHING,
        ),
    share: (project: string) =>
      dominantShare(
        of(project)
          .map((grant) => grant.amounts)
          .reduce(plus, NOTHING),
        total,
      ) / projectOf(project).weight,
    isWithinLimits: ({ project, run }: Request) => {
      const { maxRunningRuns, maxRunningSteps } = projectOf(project);
      const runs = new Set(of(project).map((grant) => grant.run)).add(run);
      return (
        (maxRunningRuns === 0 || runs.size <= maxRunningRuns) &&
        (maxRunningSteps === 0 || of(project).length < maxRunningSteps)
      );
    },
  };
}

const canBeGranted = (request: Request, it: Situation, grants: readonly Grant[]): boolean => {
  const { free, isWithinLimits } = sums(it, grants);
  const hasRoom =
    !isSomething(request.amounts) ||
    it.pools.some((one) => one.phases.has(request.phase) && fits(request.amounts, free(one.name)));
  return hasRoom && isWithinLimits(request);
};

describe('plan(): against a naive model', () => {
  it('is what granting the best of all that fit, one after another, gives', () => {
    fc.assert(
      fc.property(arbitrarySituation, (it) => {
        const { grants } = plan(it);
        const before: Grant[] = [];
        let left = [...it.requests];
        for (const grant of grants) {
          const { share } = sums(it, before);
          const [best] = left
            .filter((one) => canBeGranted(one, it, before))
            .sort((a, b) => b.priority - a.priority || share(a.project) - share(b.project) || byAge(a, b));
          expect(grant.id).toBe(best?.id);
          before.push(grant);
          left = left.filter(({ id }) => id !== grant.id);
        }
        // work conserving: nothing that could be granted is left
        expect(left.filter((one) => canBeGranted(one, it, grants))).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never exceeds a pool, never gives an accelerator twice, and answers every request', () => {
    fc.assert(
      fc.property(arbitrarySituation, fc.nat(20), (it, patienceMs) => {
        const { grants, refusals } = plan({ ...it, nowMs: 30, patienceMs });
        for (const { name, total } of it.pools) {
          const own = grants.filter((grant) => grant.pool === name);
          const held = own.map((grant) => grant.amounts).reduce(plus, NOTHING);
          expect(fits(held, total)).toBe(true);
          const indices = own.flatMap(({ gpuIndices }) => gpuIndices);
          expect(new Set(indices).size).toBe(indices.length);
          expect(indices.every((index) => index < total.gpus)).toBe(true);
          for (const grant of own) expect(grant.gpuIndices).toHaveLength(grant.amounts.gpus);
        }
        expect(grants.length + refusals.size).toBe(it.requests.length);
      }),
      { numRuns: 1_000 },
    );
  });

  it('starves nobody within a priority: a request for a whole pool is served while small ones keep coming', () => {
    const small = {
      arrivals: fc.array(
        fc.record({
          cpu: fc.integer({ min: 1, max: 2 }),
          project: fc.constantFrom(...PROJECTS),
          ticks: fc.integer({ min: 1, max: 6 }),
        }),
        { minLength: 60, maxLength: 60 },
      ),
    };
    fc.assert(
      fc.property(small.arrivals, fc.constantFrom(...PROJECTS), (arrivals, project) => {
        const held: { grant: Grant; until: number }[] = [];
        let requests: Request[] = [request('large', { project, sinceMs: 2, amounts: amounts({ cpu: 4 }) })];
        for (let tick = 0; tick < 60; tick++) {
          const arrival = arrivals[tick];
          if (arrival)
            requests.push(
              request(`s${tick}`, {
                project: arrival.project,
                sinceMs: tick,
                amounts: amounts({ cpu: arrival.cpu }),
              }),
            );
          const live = held.filter(({ until }) => until > tick);
          const it = situation({
            grants: live.map(({ grant }) => grant),
            requests,
            nowMs: tick,
            patienceMs: 5,
          });
          const { grants } = plan(it);
          if (grants.some(({ id }) => id === 'large')) return true;
          held.splice(
            0,
            held.length,
            ...live,
            ...grants.map((grant) => ({
              grant,
              until: tick + (arrivals[Number(grant.id.slice(1))]?.ticks ?? 1),
            })),
          );
          requests = requests.filter(({ id }) => !grants.some((grant) => grant.id === id));
        }
        return false;
      }),
      { numRuns: 300 },
    );
  });
});
