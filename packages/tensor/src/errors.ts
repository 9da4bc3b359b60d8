import { AppError, isAppError } from '@agentforge/errors';

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

/** An operation that the device in use lacks, where running it on the processor is refused. The message names both. */
export class UnsupportedOpError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('UNIMPLEMENTED', message, { reason: 'TENSOR_UNSUPPORTED_OP', cause });
  }
}

/** A NaN or an infinity where the trap for them is on. The message names the op, the step and the element. */
export class NotFiniteError extends AppError {
  constructor(message: string) {
    super('FAILED_PRECONDITION', message, { reason: 'TENSOR_NOT_FINITE' });
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
  if (isAppError(thrown)) return thrown;
  const { code, message } = describe(thrown);
  switch (code) {
    case 'SHAPE':
      return new ShapeError(message, thrown);
    case 'DTYPE':
      return new DtypeError(message, thrown);
    case 'ARGUMENT':
      return new ArgumentError(message, thrown);
    case 'HANDLE':
      return new FreedTensorError(message, thrown);
    case 'OOM':
      return new OutOfMemoryError(message, thrown);
    case 'UNSUPPORTED':
      return new UnsupportedOpError(message, thrown);
    case 'DEVICE':
      return new DeviceError(message, thrown);
    default:
      return AppError.from(thrown);
  }
}

/** Code and message by structure: an addon's errors may come from another realm, where instanceof fails. */
function describe(thrown: unknown): { code: unknown; message: string } {
  if (typeof thrown !== 'object' || thrown === null) return { code: undefined, message: String(thrown) };
  const { code, message } = thrown as { code?: unknown; message?: unknown };
  return { code, message: String(message) };
}
