import type { CognateConfig, Specialisation } from './cognate-config.js';

/** One model to create. */
export interface FounderPlan {
  /** `founder-<specialisation>`, with a number when a specialisation is used again. */
  readonly name: string;
  readonly specialisation: Specialisation;
  /** Tokens per row. */
  readonly sequenceLength: number;
  /** Rows per batch, so that a batch has as many tokens as the shared ones (within one row). */
  readonly batchSize: number;
}

/** The models that a configuration asks for, in order. */
export function planFounders(config: CognateConfig): FounderPlan[] {
  const { specialisations, count, batch_size, sequence_length } = config;
  return Array.from({ length: count }, (_, i) => {
    const specialisation = specialisations[i % specialisations.length] as Specialisation;
    const round = Math.floor(i / specialisations.length);
    const sequenceLength = specialisation.sequence_length ?? sequence_length;
    return {
      name: `founder-${specialisation.name}${round === 0 ? '' : `-${round + 1}`}`,
      specialisation,
      sequenceLength,
      batchSize: Math.max(1, Math.round((batch_size * sequence_length) / sequenceLength)),
    };
  });
}
