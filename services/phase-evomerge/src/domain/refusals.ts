import { AppError, isAppError } from '@agentforge/errors';

/** Inputs and settings that are refused for several reasons at once; all their violations. */
export class UnusableInputsError extends AppError {
  constructor(refusals: readonly AppError[]) {
    super('INVALID_ARGUMENT', refusals.map(({ message }) => message).join('; '), {
      reason: 'UNUSABLE_INPUTS',
      fieldViolations: refusals.flatMap(({ fieldViolations }) => fieldViolations),
    });
  }
}

/** Collects what checks refuse, so that whoever is refused learns every reason at once. */
export class Refusals {
  private readonly found: AppError[] = [];

  /**
   * Runs a check.
   * @returns what it gives; undefined when it refuses
   * @throws what is no refusal
   */
  check<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      if (!isAppError(error) || error.code !== 'INVALID_ARGUMENT') throw error;
      this.found.push(error);
      return undefined;
    }
  }

  /** @throws the refusal, or UnusableInputsError with all of them */
  throwIfAny(): void {
    const [first, ...others] = this.found;
    if (first) throw others.length === 0 ? first : new UnusableInputsError(this.found);
  }
}
