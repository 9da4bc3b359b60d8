import {
  GraphSpecSchema,
  type Run,
  RunSchema,
  type Step,
  StepSchema,
  StepSpecSchema,
  type StepState,
} from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import type { RunRecord, StepRecord } from './run-record.js';

/**
 * The run as clients see it. O(steps). The message shares parts with the record: do not change it.
 * @param options.view  `basic`: steps carry id, kind, phase and state only, and there is no graph; default `full`
 */
export function toRun(record: RunRecord, options: { readonly view?: 'full' | 'basic' } = {}): Run {
  const isBasic = options.view === 'basic';
  const steps = record.steps.toArray();
  const run = create(RunSchema, {
    name: record.name,
    displayName: record.displayName,
    state: record.state,
    labels: { ...record.labels },
    createTime: record.createTime,
    revision: record.revision,
    eventCount: record.eventCount,
    priority: record.priority,
    stepCount: Math.max(record.totalSteps, steps.length),
    stepCounts: countsOf(record),
    schedule: record.schedule,
  });
  run.steps = steps.map(isBasic ? toBasicStep : toStep);
  if (record.startTime) run.startTime = record.startTime;
  if (record.endTime) run.endTime = record.endTime;
  if (record.failure) run.failure = record.failure;
  if (record.quarantine) run.quarantine = record.quarantine;
  if (!isBasic) {
    const { seed, maxParallelSteps, priority } = record;
    run.graph = create(GraphSpecSchema, { seed, maxParallelSteps, priority });
    run.graph.steps = steps.map(({ spec }) => spec);
    if (record.deadline) run.graph.deadline = record.deadline;
  }
  return run;
}

/** The step as clients see it. */
export function toStep(record: StepRecord): Step {
  const { state, fallback } = record;
  const step = create(StepSchema, { state, usedFallback: fallback !== '', fallback });
  step.spec = record.spec;
  step.attempts = [...record.attempts];
  step.verdicts = [...record.verdicts];
  if (record.result) step.result = record.result;
  if (record.failure) step.failure = record.failure;
  if (record.nextAttemptTime) step.nextAttemptTime = record.nextAttemptTime;
  if (record.fallbackCause) step.fallbackCause = record.fallbackCause;
  if (record.cachedFrom) step.cachedFrom = record.cachedFrom;
  return step;
}

/** How many steps are in each state that any is in, by state. */
function countsOf(record: RunRecord): { state: StepState; count: number }[] {
  return [...record.byState]
    .filter(([, positions]) => positions.size > 0)
    .map(([state, positions]) => ({ state, count: positions.size }))
    .sort((a, b) => a.state - b.state);
}

function toBasicStep({ spec, state }: StepRecord): Step {
  const { id, kind, phase } = spec;
  return create(StepSchema, { state, spec: create(StepSpecSchema, { id, kind, phase }) });
}
