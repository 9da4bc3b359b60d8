import type { CanonicalCode, FieldViolation } from '@agentforge/errors';

/** An error on its way from the worker to the host. */
export interface ErrorMessage {
  readonly name: string;
  readonly code: CanonicalCode;
  readonly message: string;
  readonly reason: string | undefined;
  readonly fieldViolations: readonly FieldViolation[];
  readonly stack: string | undefined;
}
