import type { Measured } from '../fitness.js';
import type { Costs } from './pareto.js';

/**
 * What an individual is measured by when objectives are not weighed against each other; all are to be small. One without a
 * finite loss is broken: everybody else dominates it, however small it is.
 * @see Deb et al. 2002, IEEE Trans. Evol. Comput. 6, 182–197, §VI: a feasible solution dominates an infeasible one
 */
export function costsOf({ lossNats, flopPerToken, parameters, taskAccuracy }: Measured): Costs {
  const costs = [
    lossNats,
    flopPerToken,
    parameters,
    ...(taskAccuracy === undefined ? [] : [1 - taskAccuracy]),
  ];
  return Number.isFinite(lossNats) ? costs : costs.map(() => Number.POSITIVE_INFINITY);
}
