import { RunEventSchema, type RunState, type StepProgress, StepProgressSchema } from '@agentforge/contracts';
import { followRun, type RunEventInit, type RunRecord, toRun } from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, durationMs, timestampNow } from '@bufbuild/protobuf/wkt';
import { ProgressBoard } from './progress-board.js';
import { withProgress } from './run-progress.js';

const NAME = 'projects/p/runs/r';
type Payload = NonNullable<RunEventInit['payload']>;

/** A run of some steps after some events. */
const after = (ids: readonly string[], payloads: readonly Payload[], totalSteps = 0): RunRecord => {
  const graph = { steps: ids.map((id) => ({ id, phase: 'noop' })) };
  const all: Payload[] = [{ case: 'runCreated', value: { graph, totalSteps } }, ...payloads];
  return all.reduce<RunRecord | undefined>((record, payload, i) => {
    const event = create(RunEventSchema, { time: timestampNow(), payload });
    return followRun(record, { run: NAME, revision: BigInt(i + 1), events: [event], time: new Date() });
  }, undefined) as RunRecord;
};
const started = (stepId: string, attemptId = `${stepId}-1`, number = 1): Payload[] => [
  { case: 'stepReady', value: { stepId } },
  { case: 'stepScheduled', value: { stepId, attemptId, number, fencingToken: BigInt(number) } },
  { case: 'stepStarted', value: { stepId, attemptId, worker: 'w' } },
];
const reported = (stepId: string): Payload[] => [
  ...started(stepId),
  { case: 'stepReported', value: { stepId, attemptId: `${stepId}-1`, result: { outcome: 'done' } } },
];
const completed = (stepId: string): Payload[] => [
  ...reported(stepId),
  { case: 'stepCompleted', value: { stepId } },
];

describe('withProgress()', () => {
  let nowMs: number;
  let board: ProgressBoard;
  beforeEach(() => {
    nowMs = 1_000;
    board = new ProgressBoard(() => nowMs);
  });
  const tell = (stepId: string, fraction: number, etaMs?: number, attemptId = `${stepId}-1`) => {
    const point: StepProgress = create(StepProgressSchema, { run: NAME, stepId, attemptId, fraction });
    board.note(etaMs === undefined ? point : { ...point, eta: durationFromMs(etaMs) });
  };
  const shown = (record: RunRecord) => {
    const { fraction, eta } = withProgress(toRun(record), record, (...step) => board.of(...step));
    return { fraction, etaMs: eta && durationMs(eta) };
  };

  it('counts what completed or is judged as 1, what runs as far as was told, and waiting steps as 0', () => {
    const record = after(['a', 'b', 'c', 'd'], [...completed('a'), ...reported('b'), ...started('c')]);
    expect(shown(record)).toEqual({ fraction: 0.5, etaMs: undefined });
    tell('c', 0.4, 5_000);
    // "d" waits: how long the run takes is unknown, whatever "c" says.
    expect(shown(record)).toEqual({ fraction: 0.6, etaMs: undefined });
  });

  it('takes the longest estimate once every step that is left has one, less the time since', () => {
    const record = after(['a', 'b', 'c'], [...completed('a'), ...started('b'), ...started('c')]);
    tell('b', 0.5, 8_000);
    expect(shown(record).etaMs).toBeUndefined();
    nowMs += 2_000;
    tell('c', 0.5, 1_000);
    expect(shown(record)).toEqual({ fraction: 2 / 3, etaMs: 6_000 });
    nowMs += 1_500;
    // What "c" told is over, and it runs still.
    expect(shown(record).etaMs).toBeUndefined();
    tell('c', 0.9, 500);
    expect(shown(record).etaMs).toBe(4_500);
    tell('c', 0.95);
    expect(shown(record).etaMs).toBeUndefined();
  });

  it('does not take the word of an earlier attempt, nor numbers that are none', () => {
    const failure = { code: 'UNAVAILABLE', message: 'gone', reason: '' };
    const failed: Payload = {
      case: 'stepAttemptFailed',
      value: { stepId: 'a', attemptId: 'a-1', failure, nextAttemptTime: timestampNow() },
    };
    const again = started('a', 'a-2', 2).slice(1);
    const record = after(['a'], [...started('a'), failed, ...again]);
    tell('a', 0.9, 1_000);
    expect(shown(record)).toEqual({ fraction: 0, etaMs: undefined });
    tell('a', Number.NaN, 1_000, 'a-2');
    expect(shown(record).fraction).toBe(0);
    tell('a', 7, 1_000, 'a-2');
    expect(shown(record)).toEqual({ fraction: 1, etaMs: 1_000 });
  });

  it('knows no end of a run that is paused, still grows, or has ended', () => {
    tell('a', 0.5, 1_000);
    expect(shown(after(['a'], started('a')))).toEqual({ fraction: 0.5, etaMs: 1_000 });
    const paused = after(['a'], [...started('a'), { case: 'runPaused', value: {} }]);
    expect(shown(paused)).toEqual({ fraction: 0.5, etaMs: undefined });
    expect(shown(after(['a'], [], 4))).toEqual({ fraction: 0, etaMs: undefined });
    const ended = after(['a'], [...completed('a'), { case: 'runCompleted', value: {} }]);
    expect(shown(ended)).toEqual({ fraction: 1, etaMs: undefined });
    const summary = withProgress(toRun(ended, { view: 'basic' }), undefined, () => undefined);
    expect([summary.fraction, summary.eta]).toEqual([1, undefined]);
    expect(summary.state satisfies RunState).toBe(ended.state);
  });
});
