import type { TokenStream } from '@agentforge/model';
import type { CandidateMeter } from '../candidate-meter.js';
import type { Candidate, Evaluator, OnMeasured } from './evaluator.js';

/** Measures candidates here, one after the other. */
export class LocalEvaluator implements Evaluator {
  /** @param stream  what candidates are measured on: the fitness split */
  constructor(
    private readonly meter: CandidateMeter,
    private readonly stream: TokenStream,
  ) {}

  async measure(candidates: readonly Candidate[], onMeasured: OnMeasured): Promise<void> {
    for (const candidate of candidates) {
      await onMeasured(candidate, this.meter.measure(candidate.weights(), this.stream));
    }
  }
}
