import {
  GraphSpecSchema,
  type Run,
  RunSchema,
  type Step,
  StepSchema,
  type StepSpec,
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
  run.steps = fitting(record.steps.first(MAX_RUN_STEPS), specSize).map(toStep);
  const { seed, maxParallelSteps, priority } = record;
  run.graph = create(GraphSpecSchema, { seed, maxParallelSteps, priority });
  run.graph.steps = run.steps.flatMap(({ spec }) => spec ?? []);
  if (record.deadline) run.graph.deadline = record.deadline;
  return run;
}

/** The first of some steps that fit into an answer together, at least one; encoded. */
export function fittingSteps(records: readonly StepRecord[]): Uint8Array[] {
  return fitting(records).map(encodedStep);
}

/** @param extraBytes  what a step takes besides itself */
function fitting(records: readonly StepRecord[], extraBytes = (_: StepRecord) => 0): readonly StepRecord[] {
  let bytes = 0;
  const end = records.findIndex((record, i) => {
    bytes += encodedStep(record).length + extraBytes(record);
    return bytes > MAX_STEPS_BYTES && i > 0;
  });
  return end < 0 ? records : records.slice(0, end);
}

/** Steps that were shown, encoded, for as long as they stay as they are. Records never change. */
const encoded = new WeakMap<StepRecord, Uint8Array>();

/** The step as clients see it, encoded once. */
function encodedStep(record: StepRecord): Uint8Array {
  const known = encoded.get(record);
  if (known) return known;
  const bytes = toBinary(StepSchema, toStep(record));
  encoded.set(record, bytes);
  return bytes;
}

/** Bytes of specifications, which outlive the records of their steps. */
const specSizes = new WeakMap<StepSpec, number>();

function specSize({ spec }: StepRecord): number {
  const size = specSizes.get(spec) ?? toBinary(StepSpecSchema, spec).length;
  specSizes.set(spec, size);
  return size;
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
