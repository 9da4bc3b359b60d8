import { AppError } from '@agentforge/errors';

/** Operands that an operator cannot merge. */
export class MergeOperandError extends AppError {
  constructor(operator: string, problem: string) {
    super('INVALID_ARGUMENT', `${operator}: ${problem}`, { reason: 'MERGE_OPERANDS' });
  }
}

/**
 * Checks that there is at least one source, all of one length, and one number per source.
 * @returns the common length
 */
export function checkSources(
  operator: string,
  sources: readonly Float32Array[],
  weights: readonly number[],
): number {
  const length = sources[0]?.length;
  if (length === undefined) throw new MergeOperandError(operator, 'nothing to merge');
  if (weights.length !== sources.length) {
    throw new MergeOperandError(operator, `${sources.length} sources and ${weights.length} weights`);
  }
  sources.forEach((source, i) => {
    if (source.length !== length) {
      throw new MergeOperandError(operator, `source ${i} has ${source.length} elements, not ${length}`);
    }
  });
  return length;
}
