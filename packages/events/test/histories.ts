import {
  type RunEvent,
  RunEventSchema,
  StepReportSchema,
  type StepTask,
  StepTaskSchema,
} from '@agentforge/contracts';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { attemptIdOf, type RunEventInit } from '../src/index.js';

/** A run of the tests. */
export const RUN = 'projects/test/runs/r1';

/** An event at a fixed time. */
export function event(payload: NonNullable<RunEventInit['payload']>, seconds = 1): RunEvent {
  return create(RunEventSchema, { time: { seconds: BigInt(seconds) }, actor: 'test', payload });
}

type StepInit = NonNullable<
  NonNullable<MessageInitShape<typeof RunEventSchema>['payload']> extends infer P
    ? P extends { case: 'runCreated'; value: { graph?: infer G } }
      ? G extends { steps?: (infer S)[] }
        ? S
        : never
      : never
    : never
>;

/** The first event of a run whose steps wait as `after` says. */
export function created(after: Record<string, string[]>): RunEvent {
  const steps = Object.entries(after).map(
    ([id, before]) => ({ id, phase: 'noop', after: before }) satisfies StepInit,
  );
  return event({ case: 'runCreated', value: { displayName: 'test', graph: { steps, seed: 7n } } });
}

/** A task of a step. */
export function taskOf(stepId: string, number = 1, run = RUN): StepTask {
  return create(StepTaskSchema, {
    run,
    stepId,
    attemptId: attemptIdOf(run, stepId, number),
    attemptNumber: number,
    fencingToken: BigInt(number),
    phase: 'noop',
  });
}

/** A report that a step's first attempt started. */
export function startedReport(stepId: string, delivery = 1, run = RUN) {
  return create(StepReportSchema, {
    run,
    stepId,
    attemptId: attemptIdOf(run, stepId, 1),
    fencingToken: 1n,
    worker: 'w1',
    payload: { case: 'started', value: { delivery } },
  });
}

/** Waits until a condition holds. @throws Error after a time */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Runs a part while the clock of this machine is an hour ahead of the server's. */
export async function oneHourAhead<T>(part: () => Promise<T>): Promise<T> {
  const { now } = Date;
  Date.now = () => now() + 3_600_000;
  try {
    return await part();
  } finally {
    Date.now = now;
  }
}
