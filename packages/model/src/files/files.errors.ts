import { AppError } from '@agentforge/errors';

/** A file that a model needs is not where it should be. */
export class ModelFileMissingError extends AppError {
  constructor(file: string, place: string) {
    super('NOT_FOUND', `model file ${file} is missing in ${place}`, {
      reason: 'MODEL_FILE_MISSING',
      metadata: { file },
    });
  }
}

/** A JSON file of a model that is not JSON. */
export class MalformedModelFileError extends AppError {
  constructor(file: string, cause: unknown) {
    super('INVALID_ARGUMENT', `${file} is not valid JSON: ${String(cause)}`, {
      reason: 'MALFORMED_MODEL_FILE',
      metadata: { file },
      cause,
    });
  }
}

/** A tokenizer with more ids than the model has embeddings. */
export class TokenizerTooLargeError extends AppError {
  constructor(tokenizerSize: number, vocabSize: number) {
    super('INVALID_ARGUMENT', `tokenizer has ${tokenizerSize} ids, the model only ${vocabSize} embeddings`, {
      reason: 'TOKENIZER_TOO_LARGE',
      fieldViolations: [{ field: 'vocab_size', description: `${vocabSize} is less than ${tokenizerSize}` }],
    });
  }
}

/** A tensor asked for by a name that the file does not have. */
export class TensorNotFoundError extends AppError {
  constructor(file: string, name: string) {
    super('NOT_FOUND', `${file} has no tensor ${JSON.stringify(name)}`, {
      reason: 'TENSOR_NOT_FOUND',
      metadata: { file, tensor: name },
    });
  }
}
