import type { DeadLetter, DeadLetterHead } from '@agentforge/events';

/** Messages that could not be processed. */
export abstract class DeadLetterStore {
  /**
   * One page, newest first, without bytes.
   * @param options.before  only those below this sequence
   * @returns the letters, and where the next page begins; undefined at the end
   */
  abstract page(options: {
    readonly limit: number;
    readonly before?: number;
    isWanted(letter: DeadLetterHead): boolean;
  }): Promise<{ readonly letters: readonly DeadLetterHead[]; readonly next: number | undefined }>;
  /** One with its bytes. @throws NOT_FOUND */
  abstract get(sequence: number): Promise<DeadLetter>;
  /** Sends one again, byte for byte, and removes it. @throws NOT_FOUND, FAILED_PRECONDITION, RESOURCE_EXHAUSTED */
  abstract redrive(sequence: number): Promise<DeadLetter>;
  /** Removes one. @throws NOT_FOUND */
  abstract remove(sequence: number): Promise<void>;
}
