import { type Run, RunState, StepState } from '@agentforge/contracts';
import { currentAttempt, isTerminalRun, isWhole, type RunRecord, stepsIn } from '@agentforge/events';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { StepStanding } from './progress-board.js';

/** What is known of an attempt that runs. */
export type StandingOf = (run: string, stepId: string, attemptId: string) => StepStanding | undefined;

/** States of steps whose work is done, whatever becomes of the run. */
const DONE: ReadonlySet<StepState> = new Set([StepState.COMPLETED, StepState.SKIPPED, StepState.VALIDATING]);
/** States of steps that wait: nobody has told how long they will take. */
const WAITING: ReadonlySet<StepState> = new Set([StepState.PENDING, StepState.READY]);

/**
 * Writes into a run how far it is and how long it will take, as far as that is known: see `Run.fraction` and `Run.eta`.
 * O(steps that run).
 * @param run     with the counts of its steps
 * @param record  the run in full while it goes on; without it no step of it runs
 */
export function withProgress(run: Run, record: RunRecord | undefined, standingOf: StandingOf): Run {
  const running = record && !isTerminalRun(record.state) ? runningSteps(record, standingOf) : [];
  const counted = run.stepCounts.reduce((sum, { state, count }) => sum + (DONE.has(state) ? count : 0), 0);
  const done = running.reduce((sum, standing) => sum + (standing?.fraction ?? 0), counted);
  run.fraction = run.stepCount === 0 ? 0 : Math.min(1, done / run.stepCount);
  const etaMs = record && etaOf(run, record, running);
  if (etaMs !== undefined) run.eta = durationFromMs(Math.round(etaMs));
  return run;
}

function runningSteps(record: RunRecord, standingOf: StandingOf): (StepStanding | undefined)[] {
  return [...stepsIn(record, StepState.RUNNING)].map((step) => {
    const attempt = currentAttempt(step);
    return attempt && standingOf(record.name, step.spec.id, attempt.id);
  });
}

function etaOf(
  { stepCounts }: Run,
  record: RunRecord,
  running: readonly (StepStanding | undefined)[],
): number | undefined {
  if (record.state !== RunState.RUNNING || !isWhole(record) || running.length === 0) return undefined;
  if (stepCounts.some(({ state, count }) => count > 0 && WAITING.has(state))) return undefined;
  let longestMs = 0;
  for (const standing of running) {
    if (standing?.etaMs === undefined) return undefined;
    longestMs = Math.max(longestMs, standing.etaMs);
  }
  return longestMs;
}
