import { AppError, type FieldViolation } from '@agentforge/errors';
import { summarize } from '../violations.js';

/** A token id that the vocabulary does not have. */
export class TokenIdError extends AppError {
  constructor(id: number, vocabSize: number) {
    super('OUT_OF_RANGE', `token id ${id} is not in the vocabulary (ids 0 to ${vocabSize - 1})`, {
      reason: 'TOKEN_ID_OUT_OF_RANGE',
    });
  }
}

/** A tokenizer file that cannot be read or uses features this tokenizer does not have. */
export class InvalidTokenizerError extends AppError {
  constructor(file: string, violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `${file} is not a usable tokenizer: ${summarize(violations)}`, {
      reason: 'INVALID_TOKENIZER',
      fieldViolations: violations,
      metadata: { file },
    });
  }
}

/** Options a tokenizer cannot be trained with. */
export class TokenizerTrainingError extends AppError {
  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', `tokenizer cannot be trained: ${summarize(violations)}`, {
      reason: 'TOKENIZER_TRAINING',
      fieldViolations: violations,
    });
  }
}
