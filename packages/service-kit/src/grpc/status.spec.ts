import { AppError, CANONICAL_CODES, type CanonicalCode } from '@agentforge/errors';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { fromServiceError, STATUS_DETAILS_HEADER, toWireStatus } from './status.js';

function roundTrip(error: AppError): AppError {
  const { number, message, metadata } = toWireStatus(error);
  const received = Object.assign(new Error(message), { code: number, details: message, metadata });
  return fromServiceError(received as ServiceError);
}

const visible = Object.keys(CANONICAL_CODES).filter((code) => code !== 'INTERNAL' && code !== 'UNKNOWN');

describe('toWireStatus() and fromServiceError()', () => {
  it.each(visible)('%s survives with its message', (code) => {
    const back = roundTrip(new AppError(code as CanonicalCode, 'what happened'));
    expect(back).toMatchObject({ code, message: 'what happened' });
  });

  it.each([
    ['an INTERNAL AppError', new AppError('INTERNAL', 'secret')],
    ['an UNKNOWN AppError', new AppError('UNKNOWN', 'secret')],
    ['any other error', new Error('secret')],
    ['anything thrown', 'secret'],
  ])('hide %s behind an id', (_, thrown) => {
    const status = toWireStatus(thrown);
    expect(status.code).toBe('INTERNAL');
    expect(status.message).toContain(status.errorId);
    expect(JSON.stringify(status.metadata.toJSON())).not.toContain('secret');
    expect(status.message).not.toContain('secret');
  });

  it('keep fractions of the time to wait', () => {
    expect(roundTrip(new AppError('UNAVAILABLE', 'x', { retryAfterMs: 1250 })).retryAfterMs).toBe(1250);
    expect(roundTrip(new AppError('UNAVAILABLE', 'x')).retryAfterMs).toBeUndefined();
  });

  it('fit the header limit of other implementations however many fields are wrong', () => {
    const fieldViolations = Array.from({ length: 500 }, (_, index) => ({
      field: `steps[${index}].config.learning_rate`,
      description: 'is not a number between 0 and 1',
    }));
    const error = new AppError('INVALID_ARGUMENT', 'm'.repeat(5000), { fieldViolations });
    const { metadata, message } = toWireStatus(error);
    const [details] = metadata.get(STATUS_DETAILS_HEADER);
    expect((details?.length ?? 0) * (4 / 3) + message.length).toBeLessThan(8192);
    const back = roundTrip(error);
    expect(back.fieldViolations[0]).toEqual(fieldViolations[0]);
    expect(back.fieldViolations.at(-1)?.description).toMatch(/^and \d+ more$/);
  });

  it('accept details that are not ours', () => {
    const metadata = new Metadata();
    metadata.set(STATUS_DETAILS_HEADER, Buffer.from([0xff, 0xff, 0xff]));
    const received = Object.assign(new Error('x'), { code: 5, details: 'no such run', metadata });
    expect(fromServiceError(received as ServiceError)).toMatchObject({
      code: 'NOT_FOUND',
      message: 'no such run',
    });
    const strange = Object.assign(new Error('x'), { code: 99, details: '', metadata: new Metadata() });
    expect(fromServiceError(strange as ServiceError).code).toBe('UNKNOWN');
  });
});
