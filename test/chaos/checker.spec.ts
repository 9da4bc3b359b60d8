import {
  ArtifactRefSchema,
  CachePolicy,
  RunCreatedSchema,
  type RunEvent,
  RunEventSchema,
} from '@agentforge/contracts';
import { attemptIdOf, type RunEventInit, stepSeedOf } from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { JournalLine } from '../probe-phase/journal.mjs';
import { expectedDigest } from '../probe-phase/outcome.mjs';
import { type AcceptedRun, type Command, check, type History, type LoggedBatch } from './checker.mjs';
import { type Graph, journalKey } from './graphs.mjs';

const RUN = 'projects/chaos/runs/r1';
const SEED = 5n;
const STEP = 's0';
const KEY = journalKey('r1', STEP);
const ATTEMPT = attemptIdOf(RUN, STEP, 1);
const CONFIG = { units: 6, output_bytes: 100, journal_key: KEY };
const DIGEST = expectedDigest(CONFIG, stepSeedOf(SEED, { id: STEP }), []);
const GRAPH = { seed: SEED, steps: [{ id: STEP, phase: 'probe', config: CONFIG, inputs: [] }] };

type Payload = NonNullable<RunEventInit['payload']>;

const step = { stepId: STEP, attemptId: ATTEMPT };
const checkpoint = (digest: string) => create(ArtifactRefSchema, { digest });
const resultOf = (digest: string) => ({
  outcome: 'worked',
  outputs: [{ port: 'report', artifacts: [{ digest }] }],
});

/** An honest log of a run of one step: revision, seconds since the beginning, event. */
const HONEST: readonly (readonly [bigint, number, Payload])[] = [
  [1n, 0, { case: 'runCreated', value: create(RunCreatedSchema, { graph: GRAPH }) }],
  [2n, 0, { case: 'stepReady', value: { stepId: STEP } }],
  [3n, 0, { case: 'stepScheduled', value: { ...step, number: 1, fencingToken: 1n } }],
  [5n, 1, { case: 'stepStarted', value: { ...step, worker: 'w1' } }],
  [6n, 4, { case: 'stepCheckpointed', value: { ...step, checkpoint: checkpoint('c3') } }],
  [9n, 30, { case: 'stepStarted', value: { ...step, worker: 'w2' } }],
  [10n, 33, { case: 'stepReported', value: { ...step, result: resultOf(DIGEST) } }],
  [11n, 34, { case: 'stepCompleted', value: { stepId: STEP } }],
  [12n, 34, { case: 'runCompleted', value: {} }],
];

function logged(rows: readonly (readonly [bigint, number, Payload])[]): LoggedBatch[] {
  return rows.map(([revision, seconds, payload], i) => {
    const time = timestampFromMs(seconds * 1000 + i);
    const event: RunEvent = create(RunEventSchema, { time, actor: 'o1', payload });
    return {
      run: RUN,
      revision,
      previousRevision: rows[i - 1]?.[0] ?? 0n,
      timeMs: seconds * 1000,
      events: [event],
      digests: [`${payload.case} ${i}`],
    };
  });
}

/** Two executions: the first dies after unit 3, the second goes on from the checkpoint at unit 3. */
function journal(from = 3, beganSeconds = 30): JournalLine[] {
  const line = (life: string, kind: JournalLine['kind'], unit: number, seconds: number): JournalLine => ({
    key: KEY,
    life,
    kind,
    unit,
    pid: 1,
    timeMs: seconds * 1000,
  });
  return [
    line('a', 'begin', 0, 1),
    ...[0, 1, 2, 3].map((unit) => line('a', 'unit', unit, 2 + unit)),
    line('b', 'begin', from, beganSeconds),
    ...[0, 1, 2, 3, 4, 5]
      .filter((unit) => unit >= from)
      .map((unit) => line('b', 'unit', unit, beganSeconds + 1)),
  ];
}

function history(changed: Partial<History> = {}): History {
  const list = logged(HONEST);
  return {
    accepted: [{ name: RUN, runId: 'r1', graph: GRAPH }],
    batches: new Map([[RUN, list]]),
    seen: list.map(({ revision, digests }) => ({ run: RUN, revision, digest: digests[0] ?? '' })),
    journal: journal(),
    checkpointUnits: new Map([['c3', 3]]),
    ...changed,
  };
}

/** The honest history with another log. @param seen  what watchers were shown stays the honest log's */
const forged = (rows: readonly (readonly [bigint, number, Payload])[], changed: Partial<History> = {}) => ({
  ...history(changed),
  batches: new Map([[RUN, logged(rows)]]),
});

/** The run as a user asked for it. */
const accepted = (over: Partial<AcceptedRun> = {}): AcceptedRun => ({
  name: RUN,
  runId: 'r1',
  graph: GRAPH,
  ...over,
});
const commands = (...list: Command[]) => new Set(list);
/** The same graph with another step. */
const graphOf = (over: Partial<Graph['steps'][number]>): Graph => ({
  ...GRAPH,
  steps: GRAPH.steps.map((one) => ({ ...one, ...over })),
});

const rules = (history: History) => [...new Set(check(history).violations.map(({ rule }) => rule))].sort();
const without = (revision: bigint) => HONEST.filter(([one]) => one !== revision);
const replaced = (revision: bigint, payload: Payload) =>
  HONEST.map((row) => (row[0] === revision ? ([revision, row[1], payload] as const) : row));

describe('check()', () => {
  it('finds nothing in an honest history', () => {
    expect(check(history())).toMatchObject({
      runs: 1,
      steps: 1,
      transitionsChecked: 9,
      unitsDone: 7,
      unitsRedone: 1,
      violations: [],
    });
  });

  it('finds a run that was accepted and is gone', () => {
    const found = check(history({ batches: new Map(), seen: [] }));
    expect(found).toMatchObject({ lost: 1, violations: [{ rule: 'lost-run', run: RUN }] });
  });

  it('finds an event that a watcher was shown and that is gone', () => {
    const seen = [{ run: RUN, revision: 7n, digest: 'x' }];
    expect(check(history({ seen }))).toMatchObject({ lost: 1, violations: [{ rule: 'lost-event' }] });
  });

  it('finds an event that changed after it was shown', () => {
    const seen = [{ run: RUN, revision: 6n, digest: 'something else' }];
    expect(rules(history({ seen }))).toEqual(['lost-event']);
  });

  it('finds a gap before anything that follows from it', () => {
    const list = logged(HONEST).filter(({ revision }) => revision !== 6n);
    expect(rules(history({ batches: new Map([[RUN, list]]), seen: [] }))[0]).toBe('gap');
  });

  it('finds a transition that the state does not allow', () => {
    expect(rules(forged(without(3n), { seen: [] }))).toContain('illegal');
  });

  it('finds a batch that was committed twice', () => {
    const list = logged(HONEST);
    const again = list.slice(5, 6).map((batch) => ({ ...batch, revision: 9n, previousRevision: 9n }));
    const doubled = [...list.slice(0, 6), ...again, ...list.slice(6)];
    expect(rules(history({ batches: new Map([[RUN, doubled]]) }))).toContain('doubled-batch');
  });

  it('finds a step that completed twice', () => {
    const twice = [...HONEST.slice(0, 8), [13n, 35, HONEST[7]?.[2] as Payload] as const];
    const found = check(forged(twice));
    expect(found.doubled).toBeGreaterThan(0);
    expect(found.violations.map(({ rule }) => rule)).toContain('doubled-step');
  });

  it('finds a run that did not end, and says where it stands', () => {
    const found = check(forged(HONEST.slice(0, 6), { seen: [] }));
    expect(found).toMatchObject({
      notTerminal: 1,
      violations: [{ rule: 'not-terminal', detail: 'RUNNING: s0 RUNNING' }],
    });
  });

  it('finds a run that failed although it would have completed', () => {
    const rows: (readonly [bigint, number, Payload])[] = [
      ...HONEST.slice(0, 4),
      [6n, 4, { case: 'stepAttemptFailed', value: { ...step, failure: { code: 'INTERNAL' } } }],
      [7n, 4, { case: 'stepFailed', value: { stepId: STEP, failure: { code: 'INTERNAL' } } }],
      [8n, 4, { case: 'runFailed', value: { failure: { code: 'INTERNAL', message: 'gone' } } }],
    ];
    expect(rules(forged(rows, { seen: [] }))).toEqual(['wrong-end']);
  });

  it('accepts that a task is given up which one worker after another lost, and no other', () => {
    const failure = { code: 'ABORTED', reason: 'POISON_TASK' };
    const rows = (workers: number): (readonly [bigint, number, Payload])[] => [
      ...HONEST.slice(0, 3),
      ...Array.from(
        { length: workers },
        (_, i) =>
          [BigInt(4 + i), 4 + i, { case: 'stepStarted', value: { ...step, worker: `w${i}` } }] as const,
      ),
      [20n, 20, { case: 'stepAttemptFailed', value: { ...step, failure } }],
      [21n, 20, { case: 'stepFailed', value: { stepId: STEP, failure } }],
      [22n, 20, { case: 'runFailed', value: { failure } }],
    ];
    expect(check(forged(rows(3), { seen: [], journal: [] }))).toMatchObject({ poisoned: 1, violations: [] });
    expect(rules(forged(rows(2), { seen: [], journal: [] }))).toEqual(['wrong-end']);
  });

  it('finds an output that an undisturbed run would not have', () => {
    const other = replaced(10n, { case: 'stepReported', value: { ...step, result: resultOf('sha256:0') } });
    expect(check(forged(other))).toMatchObject({ digestMismatches: 1, violations: [{ rule: 'digest' }] });
  });

  it('finds work that is called complete and was not done', () => {
    const journalled = journal().filter(({ kind, unit }) => kind !== 'unit' || unit !== 4);
    expect(rules(history({ journal: journalled }))).toEqual(['undone']);
  });

  it('finds an execution that did work again which a checkpoint had kept', () => {
    const found = check(history({ journal: journal(1) }));
    expect(found).toMatchObject({ redoneBeyondPromise: 2, violations: [{ rule: 'redone', redone: 2 }] });
  });

  it('does not blame an execution that began before the checkpoint was committed', () => {
    expect(rules(history({ journal: journal(0, 5) }))).toEqual([]);
  });

  it('does not blame a thread that started slowly, after its worker had looked for a checkpoint', () => {
    const rows = (worker: string) =>
      HONEST.map(([revision, seconds, payload]) =>
        revision === 9n
          ? ([revision, 5, { case: 'stepStarted', value: { ...step, worker } }] as const)
          : ([revision, seconds, payload] as const),
      );
    const slow = { seen: [], journal: journal(0, 9) };
    expect(rules(forged(rows('host-1'), slow))).toEqual([]);
    // Another worker's start says nothing, and nobody takes longer than 15 s.
    expect(rules(forged(rows('host-2'), slow))).toEqual(['redone']);
    expect(rules(forged(rows('host-1'), { ...slow, journal: journal(0, 25) }))).toEqual(['redone']);
  });

  describe('of a run whose user does more than watch', () => {
    type Row = readonly [bigint, number, Payload];
    const cancelRequested: Row = [6n, 4, { case: 'runCancelRequested', value: {} }];
    const cancelledRows: readonly Row[] = [
      ...HONEST.slice(0, 4),
      cancelRequested,
      [7n, 5, { case: 'stepCancelled', value: { stepId: STEP } }],
      [8n, 5, { case: 'runCancelled', value: {} }],
    ];
    const pausedRows: readonly Row[] = [
      ...HONEST.slice(0, 4),
      [6n, 2, { case: 'runPaused', value: {} }],
      [7n, 3, { case: 'runResumed', value: {} }],
      ...HONEST.slice(4).map(([revision, seconds, payload]): Row => [revision + 2n, seconds, payload]),
    ];
    const found = (rows: readonly Row[], over: Partial<AcceptedRun>) =>
      check(forged(rows, { seen: [], accepted: [accepted(over)] }));

    it('accepts that it was cancelled, when that was asked for', () => {
      const asked = commands('cancelRun');
      expect(found(cancelledRows, { asked, answered: asked })).toMatchObject({
        cancelled: 1,
        violations: [],
      });
      expect(found(cancelledRows, { asked }).violations).toEqual([]);
      expect(found(HONEST, { asked }).violations).toEqual([]);
    });

    it('finds one that was cancelled and nobody asked', () => {
      const { violations, unwarranted, digestMismatches } = found(cancelledRows, {});
      expect(violations.map(({ rule }) => rule).sort()).toEqual(['unasked', 'wrong-end']);
      expect([unwarranted, digestMismatches]).toEqual([1, 1]);
    });

    it('finds one that went on although its cancellation was answered', () => {
      const asked = commands('cancelRun');
      const { violations, lost } = found(HONEST, { asked, answered: asked });
      expect(violations.map(({ rule }) => rule).sort()).toEqual(['lost-command', 'wrong-end']);
      expect(lost).toBe(1);
    });

    it('finds one that failed although it was cancelled', () => {
      const failure = { code: 'INTERNAL' };
      const rows: readonly Row[] = [
        ...HONEST.slice(0, 4),
        [6n, 4, { case: 'stepAttemptFailed', value: { ...step, failure } }],
        [7n, 4, { case: 'stepFailed', value: { stepId: STEP, failure } }],
        [8n, 4, { case: 'runFailed', value: { failure } }],
      ];
      expect(found(rows, { asked: commands('cancelRun') }).violations).toMatchObject([{ rule: 'wrong-end' }]);
    });

    it('accepts a pause that was asked for, and finds one that was not', () => {
      const asked = commands('pauseRun', 'resumeRun');
      expect(found(pausedRows, { asked, answered: asked })).toMatchObject({ pauses: 1, violations: [] });
      expect(found(pausedRows, { asked: commands('resumeRun') })).toMatchObject({
        unwarranted: 1,
        violations: [{ rule: 'unasked', detail: expect.stringContaining('runPaused') }],
      });
    });

    it('finds a pause that was answered and is not in the log', () => {
      const asked = commands('pauseRun');
      expect(found(HONEST, { asked, answered: asked })).toMatchObject({
        lost: 1,
        violations: [{ rule: 'lost-command' }],
      });
      expect(found(HONEST, { asked }).violations).toEqual([]);
    });
  });

  describe('of a step whose work never succeeds', () => {
    const config = { ...CONFIG, fail_first: 1000, fail_at: 3, fail_class: 'permanent' as const };
    const graph = graphOf({ config, allowFallback: true });
    const constant = expectedDigest(config, stepSeedOf(SEED, { id: STEP }), [], true);
    const failure = { code: 'FAILED_PRECONDITION' };
    const second = { stepId: STEP, attemptId: attemptIdOf(RUN, STEP, 2) };
    const rows = (digest: string): readonly (readonly [bigint, number, Payload])[] => [
      ...HONEST.slice(0, 4),
      [6n, 4, { case: 'stepAttemptFailed', value: { ...step, failure } }],
      [7n, 4, { case: 'stepFallbackUsed', value: { stepId: STEP, fallback: 'constant', failure } }],
      [8n, 4, { case: 'stepScheduled', value: { ...second, number: 2, fencingToken: 2n } }],
      [9n, 5, { case: 'stepStarted', value: { ...second, worker: 'w1' } }],
      [10n, 5, { case: 'stepReported', value: { ...second, result: resultOf(digest) } }],
      ...HONEST.slice(7),
    ];
    const journalled = journal().filter(({ life, unit }) => life === 'a' && unit < 3);
    const base = { seen: [], accepted: [accepted({ graph })], journal: journalled };

    it('accepts what its fallback delivers, and that its work is not done', () => {
      expect(check(forged(rows(constant), base))).toMatchObject({ fallbacks: 1, violations: [] });
    });

    it('finds another delivery, and work that is said to have succeeded', () => {
      expect(rules(forged(rows(DIGEST), base))).toEqual(['digest']);
      expect(rules(forged(HONEST, { ...base, journal: journal() }))).toEqual(['digest']);
    });

    it('finds a fallback in the place of work that would have succeeded', () => {
      const found = check(forged(rows(constant), { ...base, accepted: [accepted()], journal: journal() }));
      expect(found).toMatchObject({ digestMismatches: 1, violations: [{ rule: 'digest' }] });
    });
  });

  describe('of a step that may take an earlier result', () => {
    const SOURCE = 'projects/chaos/runs/r0';
    const seed = 2n;
    const { journal_key: _, ...config } = CONFIG;
    const digest = expectedDigest(config, seed, []);
    const shared = graphOf({ config, seed, cache: CachePolicy.READ_WRITE });
    type Row = readonly [bigint, number, Payload];
    const own = HONEST.map(
      ([revision, seconds, payload]): Row =>
        payload.case === 'stepReported'
          ? [revision, seconds, { case: 'stepReported', value: { ...step, result: resultOf(digest) } }]
          : [revision, seconds, payload],
    );
    const hit = (from: string, delivered = digest): readonly Row[] => [
      [21n, 50, { case: 'runCreated', value: create(RunCreatedSchema, { graph: GRAPH }) }],
      [22n, 50, { case: 'stepReady', value: { stepId: STEP } }],
      [
        23n,
        51,
        {
          case: 'stepCacheHit',
          value: {
            stepId: STEP,
            key: 'sha256:1',
            sourceRun: from,
            sourceStepId: STEP,
            result: resultOf(delivered),
          },
        },
      ],
      [24n, 51, { case: 'runCompleted', value: {} }],
    ];
    const both = (rows: readonly Row[], graph = shared, source: readonly Row[] = own): History => ({
      ...history({ seen: [], journal: [] }),
      accepted: [accepted({ name: SOURCE, runId: 'r0', graph: shared }), accepted({ graph })],
      batches: new Map([
        [SOURCE, logged(source).map((batch) => ({ ...batch, run: SOURCE }))],
        [RUN, logged(rows)],
      ]),
    });

    it('accepts that it does, without a journal', () => {
      expect(check(both(hit(SOURCE)))).toMatchObject({ cacheHits: 1, violations: [] });
    });

    it('finds a result that nobody had, or not yet', () => {
      expect(check(both(hit('projects/chaos/runs/r7')))).toMatchObject({
        unwarranted: 1,
        violations: [{ rule: 'cache' }],
      });
      const late = own.map(([revision, ...rest]): Row => [revision + 100n, ...rest]);
      expect(rules(both(hit(SOURCE), shared, late))).toEqual(['cache']);
    });

    it('finds a result that is not what the work would have delivered', () => {
      expect(rules(both(hit(SOURCE, DIGEST)))).toEqual(['digest']);
    });

    it('finds one that was taken over by a step that may not', () => {
      const strict = graphOf({ config, seed, cache: CachePolicy.OFF });
      expect(rules(both(hit(SOURCE), strict))).toEqual(['cache']);
    });
  });

  describe('of a step that leases cores', () => {
    const leased = graphOf({ resources: { cpu: 0.5 } });
    const scheduled = (lease?: object) =>
      replaced(3n, {
        case: 'stepScheduled',
        value: { ...step, number: 1, fencingToken: 1n, ...(lease ? { lease } : {}) },
      });
    const found = (rows: ReturnType<typeof scheduled>, graph: Graph) =>
      check(forged(rows, { seen: [], accepted: [accepted({ graph })] }));

    it('accepts an attempt that has them', () => {
      expect(found(scheduled({ granted: { cpu: 0.5 } }), leased)).toMatchObject({
        leases: 1,
        violations: [],
      });
    });

    it('finds attempts with none, with too few, and with some that nobody asked for', () => {
      for (const [rows, graph] of [
        [scheduled(), leased],
        [scheduled({ granted: { cpu: 0.25 } }), leased],
        [scheduled({ granted: { cpu: 0.5 } }), GRAPH],
      ] as const)
        expect(found(rows, graph)).toMatchObject({ unwarranted: 1, violations: [{ rule: 'lease' }] });
    });
  });

  it('finds answers that no fault explains', () => {
    const surprises = [{ call: 'createRun', code: 'INTERNAL', message: 'internal error 1', times: 3 }];
    expect(check(history({ surprises }))).toMatchObject({
      unexplainedErrors: 3,
      violations: [{ rule: 'unexplained', detail: expect.stringMatching(/createRun.*INTERNAL.*3 times/) }],
    });
  });
});
