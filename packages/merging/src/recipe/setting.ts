import type { ParameterValue } from '../operators/parameter.js';

/** A value for tensors whose name contains `filter`; null: for all. */
export interface Conditional {
  readonly filter: string | null;
  readonly value: ParameterValue | readonly ParameterValue[];
}

/**
 * What a recipe says about a parameter: a value, a gradient over the layers of a slice, or values by name of the tensor,
 * the first that fits.
 */
export type Setting = ParameterValue | readonly ParameterValue[] | readonly Conditional[];

/** Settings by parameter. */
export type SettingMap = Readonly<Record<string, Setting>>;

/**
 * The value of a setting for one tensor; undefined when no filter fits.
 * @param t  where the tensor's layer is in its slice: 0 the first, 1 the last; 0 for tensors of no layer
 * @see mergekit `evaluate_setting`
 */
export function evaluateSetting(setting: Setting, tensorName: string, t: number): ParameterValue | undefined {
  if (isScalar(setting)) return setting;
  if (!isConditional(setting)) return interpolate(setting, t);
  const found = setting.find(
    ({ filter }) => filter === null || filter === '*' || tensorName.includes(filter),
  );
  if (found === undefined) return undefined;
  return isScalar(found.value) ? found.value : interpolate(found.value, t);
}

/** Every value that a setting may come to, with its place. */
export function valuesOf(
  setting: Setting,
): { readonly path: readonly (string | number)[]; readonly value: ParameterValue }[] {
  if (isScalar(setting)) return [{ path: [], value: setting }];
  if (!isConditional(setting)) return setting.map((value, i) => ({ path: [i], value }));
  return setting.flatMap(({ value }, i) =>
    isScalar(value)
      ? [{ path: [i, 'value'], value }]
      : value.map((one, j) => ({ path: [i, 'value', j], value: one })),
  );
}

/** Between the two nearest anchors of a gradient; anchors that are no numbers hold up to the next. */
function interpolate(anchors: readonly ParameterValue[], t: number): ParameterValue | undefined {
  const scaled = t * (anchors.length - 1);
  const before = Math.floor(scaled);
  const after = Math.min(anchors.length - 1, before + 1);
  const [low, high] = [anchors[before], anchors[after]];
  if (typeof low !== 'number' || typeof high !== 'number') return low;
  const fraction = scaled - before;
  return (1 - fraction) * low + fraction * high;
}

/** Whether a setting is one value for all tensors. */
export function isScalar(setting: Setting | undefined): setting is ParameterValue {
  return typeof setting === 'number' || typeof setting === 'boolean' || typeof setting === 'string';
}

function isConditional(
  setting: readonly ParameterValue[] | readonly Conditional[],
): setting is readonly Conditional[] {
  return typeof setting[0] === 'object';
}
