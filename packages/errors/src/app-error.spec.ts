import { AppError, grpcStatusOf, isAppError } from './index.js';

class CorpusTooSmallError extends AppError {
  constructor(sizeBytes: number) {
    super('INVALID_ARGUMENT', `corpus has ${sizeBytes} bytes`, {
      fieldViolations: [{ field: 'inputs.corpus', description: 'needs at least 4096 bytes' }],
    });
  }
}

describe('AppError', () => {
  it('carries the name of its condition, code and violations', () => {
    const error = new CorpusTooSmallError(10);
    expect(error.name).toBe('CorpusTooSmallError');
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(grpcStatusOf(error.code)).toBe(3);
    expect(error.fieldViolations[0]?.field).toBe('inputs.corpus');
  });

  it('from() returns an AppError unchanged', () => {
    const error = new CorpusTooSmallError(10);
    expect(AppError.from(error)).toBe(error);
  });

  it.each([['text'], [undefined], [null], [new TypeError('x')]])(
    'from(%p) gives INTERNAL with the cause',
    (thrown) => {
      const error = AppError.from(thrown);
      expect(isAppError(error)).toBe(true);
      expect(error.code).toBe('INTERNAL');
      if (thrown !== undefined) expect(error.cause).toBe(thrown);
    },
  );
});
