import { ArgumentError } from '../errors.js';

/** Learning rate of a step; steps count from 0. Pure: the same step gives the same rate. */
export type Schedule = (step: number) => number;

/** The same rate at every step. */
export function constantSchedule(lr: number): Schedule {
  return () => lr;
}

/**
 * A straight line from `start` at step 0 to `end` at step `steps`, and `end` from there on.
 * @throws ArgumentError INVALID_ARGUMENT: steps < 1
 */
export function linearSchedule(options: {
  readonly start: number;
  readonly end: number;
  readonly steps: number;
}): Schedule {
  const { start, end, steps } = options;
  if (!(steps >= 1)) throw new ArgumentError(`linearSchedule: steps is ${steps}, must be >= 1`);
  return (step) => start + (end - start) * Math.min(step / steps, 1);
}

/**
 * A line that reaches `peak` at the last warm-up step, then half a cosine that reaches `floor` at the last step.
 * @throws ArgumentError INVALID_ARGUMENT: totalSteps < 1, or warmupSteps outside 0..totalSteps
 * @see Loshchilov & Hutter 2017, arXiv:1608.03983 eq. 5
 */
export function warmupCosine(options: {
  readonly peak: number;
  readonly floor: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
}): Schedule {
  const { peak, floor, warmupSteps, totalSteps } = options;
  if (!(totalSteps >= 1) || !(warmupSteps >= 0 && warmupSteps <= totalSteps)) {
    throw new ArgumentError(`warmupCosine: ${warmupSteps} warm-up steps of ${totalSteps}`);
  }
  const decaySteps = Math.max(1, totalSteps - 1 - warmupSteps);
  return (step) => {
    if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
    const progress = Math.min((step - warmupSteps) / decaySteps, 1);
    return floor + 0.5 * (peak - floor) * (1 + Math.cos(Math.PI * progress));
  };
}
