import type { RunBatch, RunRecord } from '@agentforge/events';
import type { BreakerAnswer } from '../engine/admission/breaker.js';

/** The breakers of all phases, as a run asks them. Answers from memory. */
export abstract class BreakerBoard {
  /** What the breaker of a phase says about another attempt of a step; undefined when it is closed. */
  abstract answerOf(phase: string, run: string, stepId: string): BreakerAnswer | undefined;
  /**
   * Asks for the one attempt that may pass.
   * @returns whether the step has it; another replica or step may be faster
   */
  abstract claim(phase: string, run: string, stepId: string): Promise<boolean>;
  /** Whether a batch of the log says anything about the workers of a phase. */
  abstract isConcerned(batch: RunBatch): boolean;
  /** Takes in a batch of the log. Every replica does so with every batch; each counts once. */
  abstract observe(batch: RunBatch, run: RunRecord): void;
}
