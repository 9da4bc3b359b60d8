import {
  type Attempt,
  type ResolvedInput,
  ResolvedInputSchema,
  type StepTask,
  StepTaskSchema,
} from '@agentforge/contracts';
import { type RunRecord, type StepRecord, stepOf, stepSeedOf } from '@agentforge/events';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { DEFAULT_HEARTBEAT_MS } from './decide-timeouts.js';

/** The artifacts that each input port of a step reads, in the order of its bindings. */
export function resolveInputs(state: RunRecord, step: StepRecord): ResolvedInput[] {
  const byPort = new Map<string, ResolvedInput>();
  for (const { port, source } of step.spec.inputs) {
    const resolved = byPort.get(port) ?? create(ResolvedInputSchema, { port });
    byPort.set(port, resolved);
    if (source.case === 'artifacts') resolved.artifacts.push(...source.value.refs);
    else if (source.case === 'stepOutput') {
      const { stepId, output } = source.value;
      const outputs = stepOf(state, stepId)?.result?.outputs ?? [];
      resolved.artifacts.push(...(outputs.find((o) => o.port === output)?.artifacts ?? []));
    }
  }
  return [...byPort.values()];
}

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
