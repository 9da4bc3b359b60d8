import type { PrefixLoss } from './early-stop.js';

/** What an individual was measured to be. */
export interface Measured {
  /** Mean loss on the fitness split, nats per token; an estimate when measuring was stopped early. */
  readonly lossNats: number;
  /** Floating-point operations of the forward pass per token. */
  readonly flopPerToken: number;
  /** Parameters. */
  readonly parameters: number;
  /** Share of tasks solved, 0 to 1; absent when there are no tasks. */
  readonly taskAccuracy?: number;
  /** Of a parent, while hopeless candidates are stopped: its losses on the first tokens. */
  readonly prefixes?: readonly PrefixLoss[];
  /** Where measuring was stopped because the individual is hopeless, and its loss up to there. */
  readonly stoppedEarly?: PrefixLoss;
}

/** Weights of the parts of the score; relative to each other. */
export interface FitnessWeights {
  readonly perplexity: number;
  readonly tasks: number;
  readonly speed: number;
  readonly size: number;
}

/**
 * Weighted geometric mean of how much better than the reference an individual is: perplexity, task accuracy, speed
 * and size, each as a ratio above 1 when better. A part that was not measured is left out, and the others share its
 * weight. Speed counts operations, not seconds: a measured time would differ from run to run, and with it the result.
 * @param reference  the best parent
 * @returns > 0; 1 for the reference itself; 0 when the loss is not finite
 */
export function fitnessOf(measured: Measured, reference: Measured, weights: FitnessWeights): number {
  if (!Number.isFinite(measured.lossNats)) return 0;
  const parts: [number, number][] = [
    [weights.perplexity, reference.lossNats - measured.lossNats],
    [weights.speed, Math.log(reference.flopPerToken / measured.flopPerToken)],
    [weights.size, Math.log(reference.parameters / measured.parameters)],
  ];
  if (measured.taskAccuracy !== undefined && reference.taskAccuracy !== undefined) {
    parts.push([weights.tasks, Math.log(smoothed(measured.taskAccuracy) / smoothed(reference.taskAccuracy))]);
  }
  const total = parts.reduce((sum, [weight]) => sum + weight, 0);
  if (total === 0) return 1;
  return Math.exp(parts.reduce((sum, [weight, logRatio]) => sum + weight * logRatio, 0) / total);
}

/** Keeps the ratio finite when nothing is solved. */
function smoothed(accuracy: number): number {
  return 0.01 + 0.99 * accuracy;
}
