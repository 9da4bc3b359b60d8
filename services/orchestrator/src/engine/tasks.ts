import { type Attempt, type StepTask, StepTaskSchema } from '@agentforge/contracts';
import { type RunRecord, resolveInputs, type StepRecord, stepSeedOf } from '@agentforge/events';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { DEFAULT_HEARTBEAT_MS } from './decide-timeouts.js';

/** The message that asks a worker for an attempt. The same state gives the same message. */
export function taskOf(state: RunRecord, step: StepRecord, attempt: Attempt): StepTask {
  const { spec } = step;
  const init: MessageInitShape<typeof StepTaskSchema> = {
    run: state.name,
    stepId: spec.id,
    attemptId: attempt.id,
    attemptNumber: attempt.number,
    fencingToken: attempt.fencingToken,
    phase: spec.phase,
    config: spec.config ?? {},
    seed: stepSeedOf(state.seed, spec),
    inputs: resolveInputs(state, step),
    fallback: step.fallback,
    heartbeat: spec.timeouts?.heartbeat ?? durationFromMs(DEFAULT_HEARTBEAT_MS),
  };
  if (attempt.checkpoint) init.checkpoint = attempt.checkpoint;
  if (attempt.lease) init.lease = attempt.lease;
  if (attempt.scheduleTime) init.scheduleTime = attempt.scheduleTime;
  if (spec.timeouts?.startToClose) init.startToClose = spec.timeouts.startToClose;
  return create(StepTaskSchema, init);
}
