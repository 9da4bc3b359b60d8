import { type ResolvedInput, ResolvedInputSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { type RunRecord, type StepRecord, stepOf } from './run-record.js';

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
