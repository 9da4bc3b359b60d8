import { FailureClass } from '@agentforge/contracts';
import { AppError, CANONICAL_CODES, type CanonicalCode } from '@agentforge/errors';
import { failureClassOf, toFailure } from './failure.js';

describe('toFailure()', () => {
  it.each([
    ['INVALID_ARGUMENT', FailureClass.PERMANENT],
    ['FAILED_PRECONDITION', FailureClass.PERMANENT],
    ['DATA_LOSS', FailureClass.PERMANENT],
    ['RESOURCE_EXHAUSTED', FailureClass.RESOURCE],
    ['UNAVAILABLE', FailureClass.TRANSIENT],
    ['INTERNAL', FailureClass.TRANSIENT],
    ['ABORTED', FailureClass.TRANSIENT],
  ] as const)('of %s is of class %d', (code, failureClass) => {
    expect(toFailure(new AppError(code, 'text'))).toMatchObject({ code, message: 'text', failureClass });
  });

  it('gives every code a class', () => {
    for (const code of Object.keys(CANONICAL_CODES) as CanonicalCode[]) {
      expect(failureClassOf(code)).not.toBe(FailureClass.UNSPECIFIED);
    }
  });

  it.each(['ENOSPC', 'ENOMEM', 'ERR_WORKER_OUT_OF_MEMORY'])(
    'of a system error %s is of class resource',
    (code) => {
      const error = Object.assign(new Error('write failed'), { code });
      expect(toFailure(error)).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        failureClass: FailureClass.RESOURCE,
      });
    },
  );

  it('of a refused allocation is of class resource', () => {
    const allocate = () => new Float32Array(2 ** 53 - 1);
    expect(allocate).toThrow(RangeError);
    try {
      allocate();
    } catch (error) {
      expect(toFailure(error).failureClass).toBe(FailureClass.RESOURCE);
    }
  });

  it('carries violations and reason, and bounds the message', () => {
    const violations = [{ field: 'config.x', description: 'is wrong' }];
    const error = new AppError('INVALID_ARGUMENT', 'x'.repeat(10_000), {
      reason: 'R',
      fieldViolations: violations,
    });
    const failure = toFailure(error);
    expect(failure.fieldViolations).toMatchObject(violations);
    expect(failure.reason).toBe('R');
    expect(failure.message).toHaveLength(4000);
  });
});
