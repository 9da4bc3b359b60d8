import {
  GraphSpecSchema,
  type Run,
  RunSchema,
  type Step,
  StepSchema,
  StepSpecSchema,
  type StepState,
} from '@agentforge/contracts';
import { create, toBinary } from '@bufbuild/protobuf';
import type { RunRecord, StepRecord } from './run-record.js';

/** Most steps of a run, and most bytes of them with their specifications, that one answer carries. */
export const MAX_RUN_STEPS = 1_000;
export const MAX_STEPS_BYTES = 3 * 2 ** 20;

/**
 * The run as clients see it. The message shares parts with the record: do not change it.
 * @param options.view  `basic`: no steps and no graph; default `full`: the first steps, as many as fit into an answer,
 *                      and their specifications again in the graph. `step_count` says how many there are.
 */
export function toRun(record: RunRecord, options: { readonly view?: 'full' | 'basic' } = {}): Run {
  const run = create(RunSchema, {
    name: record.name,
    displayName: record.displayName,
    state: record.state,
    labels: { ...record.labels },
    createTime: record.createTime,
    revision: record.revision,
    eventCount: record.eventCount,
    priority: record.priority,
    stepCount: Math.max(record.totalSteps, record.steps.length),
    stepCounts: stepCountsOf(record),
    schedule: record.schedule,
  });
  if (record.startTime) run.startTime = record.startTime;
  if (record.endTime) run.endTime = record.endTime;
  if (record.failure) run.failure = record.failure;
  if (record.quarantine) run.quarantine = record.quarantine;
  if (options.view === 'basic') return run;
  const specBytes = ({ spec }: StepRecord) => toBinary(StepSpecSchema, spec).length;
  run.steps = fittingSteps(record.steps.first(MAX_RUN_STEPS), specBytes);
  const { seed, maxParallelSteps, priority } = record;
  run.graph = create(GraphSpecSchema, { seed, maxParallelSteps, priority });
  run.graph.steps = run.steps.flatMap(({ spec }) => spec ?? []);
  if (record.deadline) run.graph.deadline = record.deadline;
  return run;
}

/**
 * The first of some steps that fit into an answer together, at least one.
 * @param extraBytes  what a step takes besides itself
 */
export function fittingSteps(records: readonly StepRecord[], extraBytes = (_: StepRecord) => 0): Step[] {
  const steps: Step[] = [];
  let bytes = 0;
  for (const record of records) {
    const step = toStep(record);
    bytes += toBinary(StepSchema, step).length + extraBytes(record);
    if (bytes > MAX_STEPS_BYTES && steps.length > 0) break;
    steps.push(step);
  }
  return steps;
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
export function stepCountsOf(record: RunRecord): { state: StepState; count: number }[] {
  return [...record.byState]
    .filter(([, positions]) => positions.size > 0)
    .map(([state, positions]) => ({ state, count: positions.size }))
    .sort((a, b) => a.state - b.state);
}
