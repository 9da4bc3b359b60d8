import { type Failure, FailureSchema, type Run, RunSchema, type StepState } from '@agentforge/contracts';
import { type RunRecord, stepCountsOf } from '@agentforge/events';
import { create, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';

/**
 * What lists need of a run: some hundred bytes, whatever its size. Plain JSON, since snapshots keep it; a change of
 * its fields is a new version of the snapshot.
 */
export interface RunSummary {
  readonly name: string;
  readonly displayName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: number;
  readonly createMs: number;
  readonly startMs?: number;
  readonly endMs?: number;
  readonly failure?: JsonValue;
  readonly quarantine?: JsonValue;
  readonly priority: number;
  readonly schedule: string;
  readonly requestId: string;
  readonly revision: number;
  readonly eventCount: number;
  readonly stepCount: number;
  /** Pairs of a step state and the number of steps in it. */
  readonly stepCounts: readonly (readonly [StepState, number])[];
  /** Phases of its steps, each once. */
  readonly phases: readonly string[];
}

/** The summary of a run. O(steps). */
export function summaryOf(record: RunRecord): RunSummary {
  const { startTime, endTime, failure, quarantine, steps } = record;
  return {
    name: record.name,
    displayName: record.displayName,
    labels: record.labels,
    state: record.state,
    createMs: timestampMs(record.createTime),
    ...(startTime ? { startMs: timestampMs(startTime) } : {}),
    ...(endTime ? { endMs: timestampMs(endTime) } : {}),
    ...(failure ? { failure: failureJson(failure) } : {}),
    ...(quarantine ? { quarantine: failureJson(quarantine) } : {}),
    priority: record.priority,
    schedule: record.schedule,
    requestId: record.requestId,
    revision: Number(record.revision),
    eventCount: Number(record.eventCount),
    stepCount: Math.max(record.totalSteps, steps.length),
    stepCounts: stepCountsOf(record).map(({ state, count }) => [state, count] as const),
    phases: [...new Set(steps.toArray().map(({ spec }) => spec.phase))],
  };
}

/** The run as lists show it: without steps and graph. */
export function summaryRun(summary: RunSummary): Run {
  const { startMs, endMs, failure, quarantine } = summary;
  return create(RunSchema, {
    name: summary.name,
    displayName: summary.displayName,
    state: summary.state,
    labels: { ...summary.labels },
    createTime: timestampFromMs(summary.createMs),
    revision: BigInt(summary.revision),
    eventCount: BigInt(summary.eventCount),
    priority: summary.priority,
    stepCount: summary.stepCount,
    stepCounts: summary.stepCounts.map(([state, count]) => ({ state, count })),
    schedule: summary.schedule,
    ...(startMs === undefined ? {} : { startTime: timestampFromMs(startMs) }),
    ...(endMs === undefined ? {} : { endTime: timestampFromMs(endMs) }),
    ...(failure === undefined ? {} : { failure: fromJson(FailureSchema, failure) }),
    ...(quarantine === undefined ? {} : { quarantine: fromJson(FailureSchema, quarantine) }),
  });
}

const failureJson = (failure: Failure): JsonValue => toJson(FailureSchema, failure);
