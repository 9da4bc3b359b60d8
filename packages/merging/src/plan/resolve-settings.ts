import type { PartialSettings } from '../operators/merge-tensors.js';
import type { MergeMethod } from '../operators/method.js';
import { type ParameterValue, problemOf } from '../operators/parameter.js';
import type { Problems } from '../recipe/fields.js';
import type { MergeRecipe, RecipeSlice, RecipeSource } from '../recipe/recipe.js';
import { evaluateSetting, type SettingMap } from '../recipe/setting.js';

/** A tensor as settings see it. */
export interface SettingPlace {
  readonly recipe: MergeRecipe;
  readonly slice: RecipeSlice;
  /** Where its layer is in the slice, 0 to 1. */
  readonly t: number;
  readonly problems: Problems;
}

/** Values of the parameters of a whole tensor, by its name in the result. */
export function mergeSettings(place: SettingPlace, name: string): PartialSettings {
  const { recipe, slice } = place;
  return resolve(recipe.method, 'merge', [slice.parameters, recipe.parameters], place, name, ['parameters']);
}

/** Values of the parameters of one source, by the tensor's name in it. A base needs none. */
export function sourceSettings(
  place: SettingPlace,
  source: RecipeSource,
  name: string,
  isBase: boolean,
): PartialSettings {
  if (isBase) return {};
  const { recipe, slice } = place;
  const maps = [source.parameters, slice.parameters, recipe.parameters];
  const settings = resolve(recipe.method, 'model', maps, place, name, [...source.path, 'parameters']);
  checkShares(recipe.method, settings, [...source.path, 'parameters'], place.problems);
  return settings;
}

function resolve(
  method: MergeMethod,
  scope: 'merge' | 'model',
  maps: readonly SettingMap[],
  { t, problems }: SettingPlace,
  name: string,
  path: readonly (string | number)[],
): PartialSettings {
  const values: Record<string, ParameterValue> = {};
  for (const parameter of method.parameters) {
    if (parameter.scope !== scope) continue;
    const value = firstValue(maps, parameter.name, name, t) ?? parameter.default;
    if (value === undefined) {
      problems.addOnce([...path, parameter.name], `is missing: ${method.name} needs it (asked for ${name})`);
      continue;
    }
    const problem = problemOf(parameter, value);
    if (problem !== null) problems.addOnce([...path, parameter.name], `${problem} (for ${name})`);
    values[parameter.name] = value;
  }
  return values;
}

function firstValue(
  maps: readonly SettingMap[],
  parameter: string,
  name: string,
  t: number,
): ParameterValue | undefined {
  for (const map of maps) {
    const setting = map[parameter];
    const value = setting === undefined ? undefined : evaluateSetting(setting, name, t);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** What DELLA asks of two parameters together. */
function checkShares(
  { name }: MergeMethod,
  { density, epsilon }: PartialSettings,
  path: readonly (string | number)[],
  problems: Problems,
): void {
  if (typeof density !== 'number' || typeof epsilon !== 'number' || density >= 1) return;
  if (density - epsilon > 0 && density + epsilon < 1) return;
  problems.addOnce(
    path,
    `density ${density} ± epsilon ${epsilon} leaves (0, 1), where ${name} has its probabilities`,
  );
}
