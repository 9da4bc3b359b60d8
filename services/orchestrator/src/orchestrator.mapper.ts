import {
  FailureClass,
  type GraphSpec,
  GraphSpecSchema,
  type InputBinding,
  type PhaseDescriptor,
  type Port,
  StepKind,
  type StepSpec,
  StepTimeoutsSchema,
} from '@agentforge/contracts';
import type { FieldViolation } from '@agentforge/errors';
import { clone, create, toBinary } from '@bufbuild/protobuf';
import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import type {
  Binding,
  GraphDraft,
  JsonObject,
  PhaseFacts,
  PortFacts,
  RetryDraft,
  StepDraft,
  StepKindName,
  TimeoutsDraft,
} from './domain/graph.js';
import type { FailureClassName } from './domain/retry-policy.js';
import { MAX_STEP_BYTES, stepBytes } from './engine/graph-parts.js';
import { amountsOf } from './scheduling/scheduling.mapper.js';

/** What `max_count: 0` of a port means. */
const PORT_LIMIT = 1_000;

const KINDS: Readonly<Record<StepKind, StepKindName>> = {
  [StepKind.UNSPECIFIED]: 'phase',
  [StepKind.PHASE]: 'phase',
  [StepKind.AGENT_TASK]: 'agent_task',
  [StepKind.GATE]: 'gate',
  [StepKind.MISSION]: 'mission',
};

const FAILURE_CLASSES: Readonly<Record<FailureClass, FailureClassName | undefined>> = {
  [FailureClass.UNSPECIFIED]: undefined,
  [FailureClass.TRANSIENT]: 'transient',
  [FailureClass.PERMANENT]: 'permanent',
  [FailureClass.RESOURCE]: 'resource',
};

/** The graph as the rules see it. */
export function toGraphDraft(graph: GraphSpec): GraphDraft {
  return {
    steps: graph.steps.map(toStepDraft),
    maxParallelSteps: graph.maxParallelSteps,
    priority: graph.priority,
    sizeBytes: toBinary(GraphSpecSchema, graph).length,
    ...timeOf('deadlineMs', graph.deadline),
  };
}

function toStepDraft(spec: StepSpec): StepDraft {
  return {
    id: spec.id,
    kind: KINDS[spec.kind] ?? 'phase',
    phase: spec.phase,
    config: (spec.config ?? {}) as JsonObject,
    inputs: spec.inputs.map(toBinding),
    after: spec.after,
    ...(spec.retry ? { retry: toRetryDraft(spec.retry) } : {}),
    ...(spec.timeouts ? { timeouts: toTimeoutsDraft(spec.timeouts) } : {}),
    ...(spec.resources ? { resources: amountsOf(spec.resources) } : {}),
  };
}

function toBinding({ port, source }: InputBinding): Binding {
  switch (source.case) {
    case 'stepOutput':
      return { port, source: { kind: 'step', stepId: source.value.stepId, output: source.value.output } };
    case 'artifacts':
      return { port, source: { kind: 'artifacts', refs: source.value.refs } };
    case undefined:
      return { port, source: { kind: 'none' } };
    default:
      return source satisfies never;
  }
}

const toRetryDraft = (retry: NonNullable<StepSpec['retry']>): RetryDraft => ({
  maxAttempts: retry.maxAttempts,
  backoffCoefficient: retry.backoffCoefficient,
  ...timeOf('initialIntervalMs', retry.initialInterval),
  ...timeOf('maxIntervalMs', retry.maxInterval),
  ...(retry.jitter === undefined ? {} : { jitter: retry.jitter }),
  retryClasses: retry.retryClasses.map((value) => FAILURE_CLASSES[value]),
  nonRetryableReasons: retry.nonRetryableReasons,
});

const toTimeoutsDraft = (timeouts: NonNullable<StepSpec['timeouts']>): TimeoutsDraft => ({
  ...timeOf('scheduleToStartMs', timeouts.scheduleToStart),
  ...timeOf('startToCloseMs', timeouts.startToClose),
  ...timeOf('heartbeatMs', timeouts.heartbeat),
});

const timeOf = <Name extends string>(name: Name, time: Duration | undefined): { [K in Name]?: number } =>
  (time === undefined ? {} : { [name]: durationMs(time) }) as { [K in Name]?: number };

/** A phase as the rules see it. */
export function toPhaseFacts(phase: PhaseDescriptor): PhaseFacts {
  return {
    name: phase.name,
    inputs: phase.inputs.map(toPortFacts),
    outputs: phase.outputs.map(toPortFacts),
    configSchema: (phase.configSchema ?? {}) as JsonObject,
  };
}

const toPortFacts = (port: Port): PortFacts => ({
  name: port.name,
  artifactType: port.artifactType,
  minCount: port.minCount,
  maxCount: port.maxCount || PORT_LIMIT,
});

/**
 * The graph with defaults filled in: configurations, and the phases' timeouts. What the engine's own defaults say is
 * left out, so that a large graph stays small.
 */
export function fillDefaults(
  graph: GraphSpec,
  configs: readonly JsonObject[],
  phaseOf: (name: string) => PhaseDescriptor | undefined,
): GraphSpec {
  const filled = clone(GraphSpecSchema, graph);
  filled.steps.forEach((step, i) => {
    const config = configs[i];
    if (config && Object.keys(config).length > 0) step.config = config;
    step.kind = StepKind.PHASE;
    const startToClose = phaseOf(step.phase)?.startToClose;
    if (startToClose && step.timeouts?.startToClose === undefined)
      step.timeouts = create(StepTimeoutsSchema, { ...step.timeouts, startToClose });
  });
  return filled;
}

/** What is too large in a graph with its defaults filled in, as it is kept. */
export function sizeViolations(graph: GraphSpec, maxGraphBytes: number): FieldViolation[] {
  const sizeBytes = toBinary(GraphSpecSchema, graph).length;
  if (sizeBytes > maxGraphBytes)
    return [
      {
        field: 'steps',
        description: `take ${sizeBytes} bytes in all with defaults filled in; at most ${maxGraphBytes} are accepted`,
      },
    ];
  return graph.steps.flatMap((spec, i) => {
    const bytes = stepBytes(spec);
    if (bytes <= MAX_STEP_BYTES) return [];
    const description = `has ${bytes} bytes with defaults filled in; at most ${MAX_STEP_BYTES} are accepted: pass large data as an artifact`;
    return [{ field: `steps[${i}]`, description }];
  });
}
