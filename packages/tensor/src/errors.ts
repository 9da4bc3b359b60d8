import { AppError } from '@agentforge/errors';

/** Shapes that an operation cannot combine. The message names the operation and every shape involved. */
export class ShapeError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('INVALID_ARGUMENT', message, { reason: 'TENSOR_SHAPE', cause });
  }
}

/** An element type that an operation does not take. */
export class DtypeError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('INVALID_ARGUMENT', message, { reason: 'TENSOR_DTYPE', cause });
  }
}

/** An argument out of its range: an axis, an index, a count, an option. */
export class ArgumentError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('INVALID_ARGUMENT', message, { reason: 'TENSOR_ARGUMENT', cause });
  }
}

/** A tensor whose memory was given back: by its scope, by backward() or by dispose(). */
export class FreedTensorError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('FAILED_PRECONDITION', message, { reason: 'TENSOR_FREED', cause });
  }
}

/** A gradient asked of something that has no graph, or whose graph was used up. */
export class GraphError extends AppError {
  constructor(message: string) {
    super('FAILED_PRECONDITION', message, { reason: 'TENSOR_GRAPH' });
  }
}

/** A compute device that cannot be used: every path that was tried, and why each failed. */
export class DeviceError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('FAILED_PRECONDITION', message, { reason: 'COMPUTE_DEVICE', cause });
  }
}

/** The device's memory, or the limit set for it, does not hold one more buffer. The message has the sizes. */
export class OutOfMemoryError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('RESOURCE_EXHAUSTED', message, { reason: 'TENSOR_OUT_OF_MEMORY', cause });
  }
}

/** Saved weights or optimizer moments that do not fit what they are loaded into. */
export class StateError extends AppError {
  constructor(message: string) {
    super('INVALID_ARGUMENT', message, { reason: 'TENSOR_STATE' });
  }
}

/**
 * What the native core threw, as the condition it stands for.
 * Total: an error without a known code comes back as an INTERNAL AppError with its cause.
 */
export function fromNativeError(thrown: unknown): AppError {
  if (!(thrown instanceof Error)) return AppError.from(thrown);
  switch ((thrown as Error & { code?: unknown }).code) {
    case 'SHAPE':
      return new ShapeError(thrown.message, thrown);
    case 'DTYPE':
      return new DtypeError(thrown.message, thrown);
    case 'ARGUMENT':
      return new ArgumentError(thrown.message, thrown);
    case 'HANDLE':
      return new FreedTensorError(thrown.message, thrown);
    case 'OOM':
      return new OutOfMemoryError(thrown.message, thrown);
    default:
      return AppError.from(thrown);
  }
}
