import {
  GateSchema,
  type PhaseDescriptor,
  type Port,
  type ResolvedInput,
  type StepOutput,
  type StepResult,
  type ValidateOutputsRequest,
  type Verdict,
  VerdictSchema,
  Comparison as WireComparison,
  type Gate as WireGate,
} from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Gate } from './domain/gates/gate.js';
import type { JsonObject, PhaseFacts, PortArtifacts, PortFacts, ResultFacts } from './domain/subject.js';
import type { Comparison, Judgement, Measurement } from './domain/verdict.js';

/** What `max_count: 0` of a port means. */
const PORT_LIMIT = 1_000;

/** A phase as the validators see it. */
export const toPhaseFacts = (phase: PhaseDescriptor | undefined): PhaseFacts => ({
  name: phase?.name ?? '',
  inputs: (phase?.inputs ?? []).map(toPortFacts),
  outputs: (phase?.outputs ?? []).map(toPortFacts),
});

const toPortFacts = ({ name, artifactType, minCount, maxCount }: Port): PortFacts => ({
  name,
  artifactType,
  minCount,
  maxCount: maxCount || PORT_LIMIT,
});

/** Artifacts on ports as the validators see them. */
export const toPortArtifacts = (ports: readonly (ResolvedInput | StepOutput)[]): PortArtifacts[] =>
  ports.map(({ port, artifacts }) => ({ port, artifacts }));

/** A result as the validators see it. */
export const toResultFacts = (result: StepResult): ResultFacts => ({
  outcome: result.outcome,
  outputs: toPortArtifacts(result.outputs),
  metrics: result.metrics,
});

/** A configuration as the validators see it. */
export const toConfig = (config: ValidateOutputsRequest['config']): JsonObject => config ?? {};

/** A judgement on the wire. */
export function toVerdict(judged: Judgement, nowMs: number): Verdict {
  return create(VerdictSchema, {
    validator: judged.validator,
    valid: judged.valid,
    blocking: judged.blocking,
    score: judged.score,
    errors: judged.errors.map((finding) => ({ ...finding })),
    warnings: judged.warnings.map((finding) => ({ ...finding })),
    details: judged.details.map(toMeasurement),
    recommendations: [...judged.recommendations],
    time: timestampFromMs(nowMs),
  });
}

const COMPARISONS: Readonly<Record<Comparison, WireComparison>> = {
  'at-most': WireComparison.AT_MOST,
  'at-least': WireComparison.AT_LEAST,
  equal: WireComparison.EQUAL,
  shown: WireComparison.UNSPECIFIED,
};

const toMeasurement = ({ name, value, threshold, comparison, unit }: Measurement) => ({
  name,
  value,
  threshold,
  comparison: COMPARISONS[comparison],
  unit,
});

/** A gate on the wire. */
export const toWireGate = ({ name, phase, description, blocking, threshold }: Gate): WireGate =>
  create(GateSchema, {
    name,
    phase,
    description,
    blocking,
    ...(threshold ? { threshold: toMeasurement(threshold) } : {}),
  });
