import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** A safetensors file whose bytes contradict the format. Lists every problem found. */
export class InvalidSafetensorsError extends AppError {
  constructor(file: string, violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `${file} is not a valid safetensors file: ${summarize(violations)}`, {
      reason: 'INVALID_SAFETENSORS',
      fieldViolations: violations,
      metadata: { file },
    });
  }
}

/** A tensor of a type that cannot be read as numbers of the wanted kind. */
export class TensorDtypeError extends AppError {
  constructor(file: string, name: string, dtype: string, wanted: string) {
    super(
      'INVALID_ARGUMENT',
      `${file}: tensor ${JSON.stringify(name)} has dtype ${dtype}, wanted ${wanted}`,
      {
        reason: 'TENSOR_DTYPE',
        fieldViolations: [{ field: `${name}.dtype`, description: `is ${dtype}, wanted ${wanted}` }],
        metadata: { file, tensor: name },
      },
    );
  }
}

/** Data whose length is not the product of the shape. */
export class TensorSizeError extends AppError {
  constructor(name: string, shape: readonly number[], length: number) {
    super(
      'INVALID_ARGUMENT',
      `tensor ${JSON.stringify(name)} of shape [${shape}] cannot hold ${length} values`,
      {
        reason: 'TENSOR_SIZE',
        metadata: { tensor: name },
      },
    );
  }
}
