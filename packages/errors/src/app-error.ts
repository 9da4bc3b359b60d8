import type { CanonicalCode } from './canonical-code.js';

/** One thing wrong with a request: where, what, and how to put it right. */
export interface FieldViolation {
  /** Path of the field, for example `steps[2].config.learning_rate`. */
  readonly field: string;
  /** What is wrong, with the offending value, and the fix. */
  readonly description: string;
}

/** What may accompany an error besides its code and message. */
export interface AppErrorOptions {
  /** Machine-readable reason in UPPER_SNAKE_CASE; becomes `google.rpc.ErrorInfo.reason`. */
  readonly reason?: string;
  /** Facts for machines; become `google.rpc.ErrorInfo.metadata`. Never secrets. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Every violated field; becomes `google.rpc.BadRequest`. */
  readonly fieldViolations?: readonly FieldViolation[];
  /** When a retry makes sense; becomes `google.rpc.RetryInfo`. */
  readonly retryAfterMs?: number;
  /** The error underneath; logged, never sent to a caller. */
  readonly cause?: unknown;
}

/**
 * The one error type of the system. Thrown anywhere; mapped to a gRPC status once, at the edge.
 * Subclasses name one condition each and fix their code.
 */
export class AppError extends Error {
  readonly code: CanonicalCode;
  readonly reason: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fieldViolations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;

  constructor(code: CanonicalCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.reason = options.reason;
    this.metadata = options.metadata ?? {};
    this.fieldViolations = options.fieldViolations ?? [];
    this.retryAfterMs = options.retryAfterMs;
  }

  /**
   * Any thrown value as an AppError: itself when it is one, otherwise INTERNAL with the value as cause.
   * Total: never throws.
   */
  static from(thrown: unknown): AppError {
    if (isAppError(thrown)) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new AppError('INTERNAL', message, { cause: thrown });
  }
}

/** Whether a thrown value is an AppError, also one from another copy of this package. */
export function isAppError(value: unknown): value is AppError {
  return (
    value instanceof AppError || (value instanceof Error && 'code' in value && 'fieldViolations' in value)
  );
}
