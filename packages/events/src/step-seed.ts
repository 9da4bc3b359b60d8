import { createHash } from 'node:crypto';
import type { StepSpec } from '@agentforge/contracts';

/**
 * Seed of a step: its own, or the first 8 bytes, big-endian, of sha256("{graph seed}/{step id}"), so that
 * steps draw different numbers and a step's do not depend on what else is in the graph.
 */
export function stepSeedOf(graphSeed: bigint, spec: Pick<StepSpec, 'id' | 'seed'>): bigint {
  if (spec.seed !== undefined) return spec.seed;
  return createHash('sha256').update(`${graphSeed}/${spec.id}`).digest().readBigUInt64BE(0);
}
