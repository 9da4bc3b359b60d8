/** How a search ended. */
export const OUTCOMES = {
  /** The best individual beats every parent and the uniform average on the report split. */
  improved: 'improved',
  /** It does not; the best parent is handed on. */
  noGain: 'no_gain',
  /** Not a search: the uniform average was asked for. */
  fallback: 'fallback',
} as const;

/** One of {@link OUTCOMES}. */
export type Outcome = (typeof OUTCOMES)[keyof typeof OUTCOMES];

/** Losses on the report split, nats per token. */
export interface ReportLosses {
  readonly best: number;
  readonly parents: readonly number[];
  readonly uniform: number;
}

/**
 * Judges the best individual by the report split, which nothing was selected by. Equal is not better.
 */
export function judge({ best, parents, uniform }: ReportLosses): 'improved' | 'no_gain' {
  return best < uniform && parents.every((loss) => best < loss) ? OUTCOMES.improved : OUTCOMES.noGain;
}
