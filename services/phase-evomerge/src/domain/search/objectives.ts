import type { Measured } from '../fitness.js';
import type { Costs } from './pareto.js';

/** What an individual is measured by when objectives are not weighed against each other; all are to be small. */
export function costsOf({ lossNats, flopPerToken, parameters, taskAccuracy }: Measured): Costs {
  return [
    Number.isNaN(lossNats) ? Number.POSITIVE_INFINITY : lossNats,
    flopPerToken,
    parameters,
    ...(taskAccuracy === undefined ? [] : [1 - taskAccuracy]),
  ];
}
