import { AttemptState, type RunEvent, StepState, TaskAction } from '@agentforge/contracts';
import { currentAttempt, openAttempt, type RunRecord, stepOf, stepsIn } from '@agentforge/events';
import { timestampMs } from '@bufbuild/protobuf/wkt';

/** Something to do in the world because of what was committed. */
export type Effect =
  | { readonly kind: 'dispatch'; readonly stepId: string }
  | { readonly kind: 'judge-outputs'; readonly stepId: string }
  | { readonly kind: 'direct'; readonly attemptId: string; readonly action: TaskAction }
  | { readonly kind: 'wake'; readonly atMs: number }
  | { readonly kind: 'forget'; readonly attemptId: string };

/**
 * What the events of a batch ask to be done, given the run after them. Doing an effect twice does no harm, and none
 * is lost for good: what a crash left undone is found again in the state of the run.
 */
export function effectsOf(events: readonly RunEvent[], state: RunRecord): Effect[] {
  return events.flatMap((event) => effectsOfEvent(event, state));
}

function effectsOfEvent({ payload }: RunEvent, state: RunRecord): Effect[] {
  switch (payload.case) {
    case 'stepScheduled':
      return [{ kind: 'dispatch', stepId: payload.value.stepId }];
    case 'stepReported':
      return stepOf(state, payload.value.stepId)?.state === StepState.VALIDATING
        ? [{ kind: 'judge-outputs', stepId: payload.value.stepId }]
        : [];
    case 'stepAttemptFailed': {
      const { attemptId, nextAttemptTime } = payload.value;
      const abandon: Effect = { kind: 'direct', attemptId, action: TaskAction.ABANDON };
      return nextAttemptTime ? [abandon, { kind: 'wake', atMs: timestampMs(nextAttemptTime) }] : [abandon];
    }
    case 'stepCancelled':
      return endOf(state, payload.value.stepId, true);
    case 'stepCompleted':
      return endOf(state, payload.value.stepId, false);
    case 'runPaused':
      return directStarted(state, TaskAction.RELEASE);
    case 'runCancelRequested':
      return directStarted(state, TaskAction.CANCEL);
    default:
      return [];
  }
}

function directStarted(state: RunRecord, action: TaskAction): Effect[] {
  return [...stepsIn(state, StepState.RUNNING)].flatMap((step): Effect[] => {
    const attempt = openAttempt(step);
    return attempt?.state === AttemptState.STARTED ? [{ kind: 'direct', attemptId: attempt.id, action }] : [];
  });
}

function endOf(state: RunRecord, stepId: string, isStopped: boolean): Effect[] {
  const step = stepOf(state, stepId);
  const attempt = step && (currentAttempt(step) ?? step.attempts.at(-1));
  if (attempt === undefined) return [];
  const effects: Effect[] = [];
  if (isStopped) effects.push({ kind: 'direct', attemptId: attempt.id, action: TaskAction.ABANDON });
  if (attempt.checkpoint) effects.push({ kind: 'forget', attemptId: attempt.id });
  return effects;
}
