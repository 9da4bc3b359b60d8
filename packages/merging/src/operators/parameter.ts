/** A value of a parameter in a recipe. */
export type ParameterValue = number | boolean | string;

/** Values by parameter, every default filled in. */
export type Settings = Readonly<Record<string, ParameterValue>>;

/** What a parameter takes. `rescale` is true, false or `inverse_density`. */
export type ParameterKind = 'number' | 'integer' | 'boolean' | 'rescale';

/** A parameter of a merge method: its name, type, default and bounds are mergekit's. */
export interface MergeParameter {
  readonly name: string;
  readonly kind: ParameterKind;
  /** `merge`: one value for a tensor; `model`: one for each model that is merged into it. */
  readonly scope: 'merge' | 'model';
  /** Absent: a recipe has to give it. */
  readonly default?: ParameterValue;
  /** Smallest and largest value that is taken; absent: any finite number. */
  readonly min?: number;
  readonly max?: number;
  /** Whether `min` itself is refused. */
  readonly isMinExcluded?: boolean;
  readonly summary: string;
}

/** What is wrong with a value, with what would be right; null when nothing is. */
export function problemOf(parameter: MergeParameter, value: unknown): string | null {
  const { kind } = parameter;
  if (kind === 'boolean') return typeof value === 'boolean' ? null : `is ${show(value)}; true or false`;
  if (kind === 'rescale') {
    const isKnown = typeof value === 'boolean' || value === 'inverse_density';
    return isKnown ? null : `is ${show(value)}; true (keep the sum of magnitudes), false or inverse_density`;
  }
  const wanted = `${kind === 'integer' ? 'a whole number' : 'a number'}${rangeOf(parameter)}`;
  if (typeof value !== 'number' || !Number.isFinite(value)) return `is ${show(value)}; ${wanted}`;
  if (kind === 'integer' && !Number.isInteger(value)) return `is ${value}; ${wanted}`;
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, isMinExcluded } = parameter;
  const isInside = (isMinExcluded ? value > min : value >= min) && value <= max;
  return isInside ? null : `is ${value}; ${wanted}`;
}

/** ` from 0 to 1`, ` above 0 up to 1`, or nothing. */
export function rangeOf({ min, max, isMinExcluded }: MergeParameter): string {
  const from = min === undefined ? '' : isMinExcluded ? ` above ${min}` : ` from ${min}`;
  return max === undefined ? from : `${from}${min === undefined || isMinExcluded ? ' up' : ''} to ${max}`;
}

function show(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'a list or map' : JSON.stringify(value);
}
