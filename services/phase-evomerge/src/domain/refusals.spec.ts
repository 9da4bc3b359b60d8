import { AppError } from '@agentforge/errors';
import { SequenceTooLongError, TooManyGenesError } from './evomerge.errors.js';
import { Refusals } from './refusals.js';

describe('Refusals', () => {
  const refuse = (error: Error) => () => {
    throw error;
  };

  it('says every reason at once', () => {
    const refusals = new Refusals();
    expect(refusals.check(() => 7)).toBe(7);
    expect(refusals.check(refuse(new SequenceTooLongError(64, 32)))).toBeUndefined();
    expect(refusals.check(refuse(new TooManyGenesError(600, 512)))).toBeUndefined();
    expect(() => refusals.throwIfAny()).toThrow(
      expect.objectContaining({
        reason: 'UNUSABLE_INPUTS',
        message: expect.stringMatching(/32 positions; the search has 600 genes/),
        fieldViolations: ['config.sequence_length', 'config.vector'].map((field) =>
          expect.objectContaining({ field }),
        ),
      }),
    );
  });

  it('leaves one reason as it is, and nothing when there is none', () => {
    const refusals = new Refusals();
    expect(() => refusals.throwIfAny()).not.toThrow();
    const only = new SequenceTooLongError(64, 32);
    refusals.check(refuse(only));
    expect(() => refusals.throwIfAny()).toThrow(only);
  });

  it('passes on what is no refusal', () => {
    const broken = new AppError('INTERNAL', 'the disk is gone');
    expect(() => new Refusals().check(refuse(broken))).toThrow(broken);
  });
});
