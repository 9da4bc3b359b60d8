/**
 * Small graphs of probes: chains, fans, joins, and layers of all of these. What they deliver does not depend on what
 * happens to them, so that a checker can say beforehand what must come out.
 */

/** Enough that no run ends for lack of tries: what is tested is that it ends at all, and with the right result. */
const RETRY = {
  maxAttempts: 100,
  initialInterval: { nanos: 200_000_000 },
  backoffCoefficient: 1.5,
  maxInterval: { seconds: 2n },
};

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
    config: { ...randomWork(random), journal_key: journalKey(runId, `s${i}`) },
    inputs: reads.map((source) => ({
      port: 'inputs',
      source: { case: 'stepOutput', value: { stepId: `s${source}`, output: 'report' } },
    })),
    retry: RETRY,
    allowFallback: false,
    cache: 3,
  }));
  return { seed: BigInt(random.between(1, 2 ** 30)), steps };
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
