import {
  type ArtifactRef,
  CachePolicy,
  FailureClass,
  type GraphSpec,
  GraphSpecSchema,
  StepKind,
} from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import type { CacheWord, FailureWord } from './draft.js';
import type {
  ContentItem,
  InputSource,
  RetrySpec,
  RunSpec,
  StepDraft,
  StepKindName,
  TimeoutSpec,
} from './run-spec.js';

const KINDS: Readonly<Record<StepKindName, StepKind>> = {
  phase: StepKind.PHASE,
  agent_task: StepKind.AGENT_TASK,
  gate: StepKind.GATE,
  mission: StepKind.MISSION,
};

const CACHE_POLICIES: Readonly<Record<CacheWord, CachePolicy>> = {
  'read-write': CachePolicy.READ_WRITE,
  refresh: CachePolicy.REFRESH,
  off: CachePolicy.OFF,
};

const FAILURE_CLASSES: Readonly<Record<FailureWord, FailureClass>> = {
  transient: FailureClass.TRANSIENT,
  resource: FailureClass.RESOURCE,
  permanent: FailureClass.PERMANENT,
};

/** The graph of a specification on the wire. `refs` knows the stored artifact of every content item. */
export function toGraph(spec: RunSpec, refs: ReadonlyMap<ContentItem, ArtifactRef>): GraphSpec {
  return create(GraphSpecSchema, {
    seed: spec.seed,
    maxParallelSteps: spec.maxParallelSteps,
    priority: spec.priority,
    ...(spec.deadlineMs === undefined ? {} : { deadline: toDuration(spec.deadlineMs) }),
    steps: spec.steps.map((step) => toStep(step, refs)),
  });
}

/** A duration on the wire. */
export function toDuration(ms: number): Duration {
  const seconds = Math.floor(ms / 1_000);
  return create(DurationSchema, {
    seconds: BigInt(seconds),
    nanos: Math.round((ms - seconds * 1_000) * 1e6),
  });
}

function toStep(step: StepDraft, refs: ReadonlyMap<ContentItem, ArtifactRef>) {
  return {
    id: step.id,
    kind: KINDS[step.kind],
    phase: step.phase,
    config: step.config,
    inputs: step.inputs.map(({ port, source }) => ({ port, source: toSource(source, refs) })),
    after: [...step.after],
    ...(step.retry ? { retry: toRetry(step.retry) } : {}),
    ...(step.timeouts ? { timeouts: toTimeouts(step.timeouts) } : {}),
    ...(step.seed === undefined ? {} : { seed: step.seed }),
    ...(step.cache === undefined ? {} : { cache: CACHE_POLICIES[step.cache] }),
    ...(step.resources ? { resources: { ...step.resources } } : {}),
    ...(step.allowFallback === undefined ? {} : { allowFallback: step.allowFallback }),
  };
}

function toSource(source: InputSource, refs: ReadonlyMap<ContentItem, ArtifactRef>) {
  if (source.kind === 'output') {
    return { case: 'stepOutput' as const, value: { stepId: source.stepId, output: source.output } };
  }
  return {
    case: 'artifacts' as const,
    value: { refs: source.items.flatMap((item) => refs.get(item) ?? []) },
  };
}

function toRetry(retry: RetrySpec) {
  return {
    maxAttempts: retry.maxAttempts ?? 0,
    backoffCoefficient: retry.backoffCoefficient ?? 0,
    ...(retry.initialIntervalMs === undefined
      ? {}
      : { initialInterval: toDuration(retry.initialIntervalMs) }),
    ...(retry.maxIntervalMs === undefined ? {} : { maxInterval: toDuration(retry.maxIntervalMs) }),
    ...(retry.jitter === undefined ? {} : { jitter: retry.jitter }),
    retryClasses: retry.classes.map((word) => FAILURE_CLASSES[word]),
    nonRetryableReasons: [...retry.nonRetryableReasons],
  };
}

function toTimeouts(timeouts: TimeoutSpec) {
  return {
    ...(timeouts.scheduleToStartMs === undefined
      ? {}
      : { scheduleToStart: toDuration(timeouts.scheduleToStartMs) }),
    ...(timeouts.startToCloseMs === undefined ? {} : { startToClose: toDuration(timeouts.startToCloseMs) }),
    ...(timeouts.heartbeatMs === undefined ? {} : { heartbeat: toDuration(timeouts.heartbeatMs) }),
  };
}
