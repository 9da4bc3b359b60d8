import { ArtifactRefSchema, RunCreatedSchema, type RunEvent, RunEventSchema } from '@agentforge/contracts';
import { attemptIdOf, type RunEventInit, stepSeedOf } from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { JournalLine } from '../probe-phase/journal.mjs';
import { expectedDigest } from '../probe-phase/outcome.mjs';
import { check, type History, type LoggedBatch } from './checker.mjs';
import { journalKey } from './graphs.mjs';

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
});
