/**
 * Small graphs of probes: chains, fans, joins, and layers of all of these. What they deliver does not depend on what
 * happens to them, so that a checker can say beforehand what must come out. Some steps fail for good and have a
 * fallback, some lease resources, some may take the result of an earlier step that did the same.
 */
import { CachePolicy } from '@agentforge/contracts';

/** Enough that no run ends for lack of tries: what is tested is that it ends at all, and with the right result. */
const RETRY = {
  maxAttempts: 100,
  initialInterval: { nanos: 200_000_000 },
  backoffCoefficient: 1.5,
  maxInterval: { seconds: 2n },
};

/** Attempts that fail, where none is to succeed: more than there ever are. */
const ALWAYS = 1000;
/** Cores that a step may lease: several fit beside each other into the pool, all that run at once do not. */
const LEASES = [0.25, 0.5, 1];
/** Work that many runs ask for, so that one finds the result of another. It is in no journal: whose would it be? */
const SHARED = [
  { units: 6, unit_ms: 30, checkpoint_every: 3, output_bytes: 200 },
  { units: 15, unit_ms: 20, checkpoint_every: 5, output_bytes: 1500 },
  { units: 30, unit_ms: 10, checkpoint_every: 10, output_bytes: 100 },
];

/** Ids of the steps that each step reads. */
const SHAPES = {
  chain: (random) => {
    const length = random.between(2, 5);
    return Array.from({ length }, (_, i) => (i === 0 ? [] : [i - 1]));
  },
  fan: (random) => [[], ...Array.from({ length: random.between(2, 5) }, () => [0])],
  join: (random) => {
    const width = random.between(2, 5);
    return [...Array.from({ length: width }, () => []), Array.from({ length: width }, (_, i) => i)];
  },
  layers: (random) => {
    const steps = [[], []];
    for (let layer = 0; layer < random.between(1, 3); layer++)
      steps.push([steps.length - 2, steps.length - 1], [steps.length - 1]);
    return steps;
  },
};

/** One graph, as a request carries it. @param runId  also the first part of the steps' journal keys */
export function randomGraph(random, runId) {
  const shape = random.pick(Object.keys(SHAPES));
  const steps = SHAPES[shape](random).map((reads, i) => ({
    id: `s${i}`,
    phase: 'probe',
    ...(reads.length === 0 && random.chance(0.3) ? sharedWork(random) : ownWork(random, runId, `s${i}`)),
    ...(random.chance(0.25) ? { resources: { cpu: random.pick(LEASES) } } : {}),
    inputs: reads.map((source) => ({
      port: 'inputs',
      source: { case: 'stepOutput', value: { stepId: `s${source}`, output: 'report' } },
    })),
    retry: RETRY,
  }));
  return { seed: BigInt(random.between(1, 2 ** 30)), steps };
}

/** Work with a seed of its own, so that it is the same in every run. */
function sharedWork(random) {
  return {
    config: random.pick(SHARED),
    seed: BigInt(random.between(1, 2)),
    allowFallback: false,
    cache: CachePolicy.READ_WRITE,
  };
}

function ownWork(random, runId, id) {
  const work = { ...randomWork(random), journal_key: journalKey(runId, id) };
  const isHopeless = random.chance(0.1);
  const failures = { fail_first: ALWAYS, fail_at: work.units >> 1, fail_class: 'permanent' };
  return {
    config: isHopeless ? { ...work, ...failures } : work,
    allowFallback: isHopeless,
    cache: CachePolicy.OFF,
  };
}

/** Whether the work of a step never succeeds, so that its fallback must take its place. */
export const isHopeless = ({ config }) => config.fail_class === 'permanent';

/**
 * What a user does with a run besides watching it: when it is paused and for how long, when it is cancelled; ms since it
 * was accepted.
 */
export function randomWishes(random) {
  const wishes = {};
  if (random.chance(0.25))
    wishes.pause = { afterMs: random.between(100, 4_000), forMs: random.between(100, 3_000) };
  if (random.chance(0.12)) wishes.cancelAfterMs = random.between(100, 5_000);
  return wishes;
}

/** What the journal calls a step of a run. */
export const journalKey = (runId, stepId) => `${runId}.${stepId}`;

function randomWork(random) {
  const units = random.between(5, 60);
  const work = {
    units,
    unit_ms: random.between(5, 80),
    checkpoint_every: random.between(3, 10),
    output_bytes: random.between(100, 4000),
  };
  if (random.chance(0.2)) Object.assign(work, { fail_first: random.between(1, 2), fail_at: units >> 1 });
  if (random.chance(0.1)) Object.assign(work, { crashes: 1, crash_at: random.between(1, units - 1) });
  return work;
}
