import { type PhaseDescriptor, PhaseDescriptorSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { configJsonSchema } from './config-check.js';
import type { PhaseDefinition } from './phase-definition.js';

/**
 * What a phase says about itself in the registry and over gRPC.
 * @param address  where this replica serves, `host:port`
 */
export function describePhase(phase: PhaseDefinition, address: string): PhaseDescriptor {
  return create(PhaseDescriptorSchema, {
    name: phase.name,
    version: phase.version,
    summary: phase.summary,
    inputs: phase.inputs.map((port) => ({ ...port })),
    outputs: phase.outputs.map((port) => ({ ...port })),
    configSchema: configJsonSchema(phase),
    startToClose: durationFromMs(phase.startToCloseMs),
    fallback: phase.fallback ?? '',
    metrics: phase.metrics.map((metric) => ({ ...metric })),
    address,
    nonDeterministic: phase.isDeterministic === false,
  });
}
