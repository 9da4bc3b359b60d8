import { AttemptState, RunState, TaskAction, type TaskHeartbeat } from '@agentforge/contracts';
import { openAttempt, type RunRecord, stepOf } from '@agentforge/events';

/**
 * What a worker is to do with the attempt it asks about, as far as this state of the run knows. ABANDON may also mean
 * that the state is older than the attempt: the caller makes sure that it is the newest before passing that on.
 * @param formerWorkers  workers whose place another one took in this attempt
 */
export function directiveFor(
  state: RunRecord | undefined,
  heartbeat: TaskHeartbeat,
  formerWorkers: ReadonlySet<string> | undefined,
): TaskAction {
  // What the run is now is not known here, perhaps elsewhere: the worker is not disturbed.
  if (state?.quarantine) return TaskAction.CONTINUE;
  const step = state && stepOf(state, heartbeat.stepId);
  const attempt = step && openAttempt(step);
  if (attempt?.id !== heartbeat.attemptId || attempt.fencingToken !== heartbeat.fencingToken)
    return TaskAction.ABANDON;
  if (attempt.state === AttemptState.STARTED && formerWorkers?.has(heartbeat.worker))
    return TaskAction.ABANDON;
  if (state?.state === RunState.CANCELLING) return TaskAction.CANCEL;
  if (state?.state === RunState.PAUSED) return TaskAction.RELEASE;
  return TaskAction.CONTINUE;
}
