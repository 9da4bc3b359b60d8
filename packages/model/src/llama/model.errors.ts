import { AppError, type FieldViolation } from '@agentforge/errors';
import type { Tensor } from '@agentforge/tensor';
import { summarize } from '../violations.js';

/** More tokens than the model, or the cache, has positions for. */
export class SequenceTooLongError extends AppError {
  constructor(wanted: number, available: number) {
    super('INVALID_ARGUMENT', `sequence of ${wanted} tokens does not fit into ${available} positions`, {
      reason: 'SEQUENCE_TOO_LONG',
    });
  }
}

/** Tokens that are not a batch of rows. */
export class TokenShapeError extends AppError {
  constructor(dtype: string, shape: readonly number[]) {
    super('INVALID_ARGUMENT', `tokens must be i32 [batch, length] with length ≥ 1, got ${dtype} [${shape}]`, {
      reason: 'TOKEN_SHAPE',
    });
  }
}

/** Weights that do not fit the configuration they come with. */
export class WeightsMismatchError extends AppError {
  constructor(source: string, violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `${source} does not fit the configuration: ${summarize(violations)}`, {
      reason: 'WEIGHTS_MISMATCH',
      fieldViolations: violations,
    });
  }
}

/** A model with an adapter that counts but is not in its weights: they alone are another model. */
export class UnmergedAdapterError extends AppError {
  constructor(layers: readonly string[]) {
    const more = layers.length > 1 ? ` and ${layers.length - 1} more layers` : '';
    super(
      'FAILED_PRECONDITION',
      `the weights do not have the adapter of ${layers[0]}${more} in them: merge it, with adapter.merge() or ` +
        'removeLora(model, adapter, { keep: true }), or save it on its own, with saveLora()',
      { reason: 'UNMERGED_ADAPTER' },
    );
  }
}

/** Batches of another number or shape than a captured step was made for. */
export class BatchShapeError extends AppError {
  constructor(wanted: string, got: string) {
    super(
      'INVALID_ARGUMENT',
      `the captured training step takes ${wanted}, got ${got === '' ? 'none' : got}`,
      {
        reason: 'BATCH_SHAPE',
      },
    );
  }
}

/** A loss or gradient that is infinite or not a number; the parameters were left as they are. */
export class NonFiniteLossError extends AppError {
  constructor(loss: number, gradNorm: number) {
    super('ABORTED', `training diverged: loss ${loss}, gradient norm ${gradNorm}; lower the learning rate`, {
      reason: 'NON_FINITE_LOSS',
      metadata: { loss: String(loss), gradNorm: String(gradNorm) },
    });
  }
}

/**
 * The length T of tokens [B, T].
 * @throws TokenShapeError, SequenceTooLongError  INVALID_ARGUMENT
 */
export function checkTokens(tokens: Tensor, positions: number, usedPositions: number): number {
  const [, length = 0] = tokens.shape;
  if (tokens.shape.length !== 2 || length < 1 || tokens.dtype !== 'i32') {
    throw new TokenShapeError(tokens.dtype, tokens.shape);
  }
  if (usedPositions + length > positions) throw new SequenceTooLongError(usedPositions + length, positions);
  return length;
}
