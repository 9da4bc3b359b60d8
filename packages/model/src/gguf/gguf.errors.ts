import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** A GGUF file whose bytes contradict the format, or that holds what this family does not compute. */
export class InvalidGgufError extends AppError {
  constructor(file: string, violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `${file} is not a usable GGUF file: ${summarize(violations)}`, {
      reason: 'INVALID_GGUF',
      fieldViolations: violations,
      metadata: { file },
    });
  }
}

/** A model that cannot be written as GGUF with the settings asked for. */
export class GgufExportError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `the model cannot be written as GGUF: ${summarize(violations)}`, {
      reason: 'GGUF_EXPORT',
      fieldViolations: violations,
    });
  }
}
