import type { ElementwiseRecipe, RandomMixRecipe, TaskMixRecipe } from './recipe.js';

/** Half the spread of DELLA's probabilities (mergekit's default); less where density ± it would leave (0, 1). */
const DELLA_EPSILON = 0.15;

type Values = Readonly<Record<string, number | boolean | string>>;

/** What a recipe does to the tensors of one group: a method of mergekit and values for its parameters. */
export interface GroupMerge {
  readonly method: string;
  /** What deltas are measured from, or the source that counts as base; null: all sources are equal. */
  readonly base: 'ancestor' | 'first source' | null;
  readonly settings: Values;
  /** One record per source; that of a base is empty. */
  readonly own: readonly Values[];
}

/**
 * A recipe, for the tensors of a group.
 * @throws TypeError  the recipe has no numbers for the group: it is not one that breeding made
 */
export function groupMerge(recipe: ElementwiseRecipe, group: number): GroupMerge {
  const { operator: method, sources } = recipe;
  switch (recipe.operator) {
    case 'linear':
    case 'multislerp': {
      const normalize = recipe.operator === 'linear' ? 'normalize' : 'normalize_weights';
      const own = rowOf(recipe.weights, group).map((weight) => ({ weight }));
      return { method, base: null, settings: { [normalize]: recipe.normalize }, own };
    }
    case 'slerp':
      return { method, base: 'first source', settings: { t: tOf(recipe, group) }, own: [{}, {}] };
    case 'nuslerp': {
      const t = tOf(recipe, group);
      return { method, base: null, settings: {}, own: [{ weight: 1 - t }, { weight: t }] };
    }
    case 'karcher':
      return { method, base: null, settings: recipe.settings, own: sources.map(() => ({})) };
    case 'sce':
    case 'ram':
    case 'ramplus_tl':
      return { method, base: 'ancestor', settings: recipe.settings, own: sources.map(() => ({})) };
    default:
      return taskMix(recipe, group);
  }
}

function taskMix(recipe: TaskMixRecipe | RandomMixRecipe, group: number): GroupMerge {
  const { operator: method, density, lambda } = recipe;
  const isDella = method === 'della' || method === 'della_linear';
  const shares = {
    ...(method === 'task_arithmetic' ? {} : { density }),
    ...(isDella ? { epsilon: Math.min(DELLA_EPSILON, 0.9 * density, 0.9 * (1 - density)) } : {}),
  };
  const own = rowOf(recipe.weights, group).map((weight) => ({ weight, ...shares }));
  const settings = 'rescale' in recipe ? { lambda, rescale: RESCALE[recipe.rescale] } : { lambda };
  return { method, base: 'ancestor', settings, own };
}

/** Values of mergekit's `rescale`, and the one it does not have. */
const RESCALE = { match_l1: true, none: false, inverse_density: 'inverse_density' } as const;

function tOf({ t }: { t: readonly number[] }, group: number): number {
  const value = t[group];
  if (value === undefined) throw new TypeError(`a recipe has no t for group ${group}`);
  return value;
}

function rowOf(weights: readonly (readonly number[])[], group: number): readonly number[] {
  const row = weights[group];
  if (!row) throw new TypeError(`a recipe has no weights for group ${group}`);
  return row;
}
