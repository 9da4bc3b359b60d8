/** The operators of the default genome, with mergekit's semantics. */
export const OPERATORS = [
  'linear',
  'slerp',
  'ties',
  'dare_linear',
  'dare_ties',
  'frankenmerge',
  'dfs',
] as const;

/** Every operator that a genome may have: the default ones, and what else of mergekit can be mutated or stands by itself. */
export const GENOME_OPERATORS = [
  ...OPERATORS,
  'nuslerp',
  'multislerp',
  'karcher',
  'task_arithmetic',
  'della',
  'della_linear',
  'breadcrumbs',
  'breadcrumbs_ties',
  'sce',
  'ram',
  'ramplus_tl',
] as const;

/** Name of an operator. */
export type OperatorName = (typeof GENOME_OPERATORS)[number];

/** How the survivors of DARE and DELLA make up for what was dropped. */
export const DARE_RESCALE = {
  /** Multiplied so that the sum of magnitudes stays what it was: mergekit. */
  matchL1: 'match_l1',
  /** Multiplied by 1/density, so that the expectation stays the delta: the papers. */
  inverseDensity: 'inverse_density',
  /** Left alone. */
  none: 'none',
} as const;

/** One of {@link DARE_RESCALE}. */
export type DareRescale = (typeof DARE_RESCALE)[keyof typeof DARE_RESCALE];

/** Id of an individual whose weights are merged: `p0`, `p1` … are the parents. */
export type SourceId = string;

/** One layer of a stacked model: layer `layer` of source number `source`. */
export interface LayerPick {
  readonly source: number;
  readonly layer: number;
}

/** A layer whose input is multiplied by `scale` (Sakana's W). */
export interface ScaledPick extends LayerPick {
  /** > 0. */
  readonly scale: number;
}

/** Merge weights: one row per group of tensors (see `groupOf`), one number per source. */
export type GroupWeights = readonly (readonly number[])[];

/** `Σ wᵢ xᵢ`, or the mean on the sphere; weights are divided by their sum when normalised. */
export interface WeightedRecipe {
  readonly operator: 'linear' | 'multislerp';
  readonly sources: readonly SourceId[];
  readonly weights: GroupWeights;
  readonly normalize: boolean;
}

/** Spherical interpolation of two sources; one `t` per group. */
export interface SlerpRecipe {
  readonly operator: 'slerp' | 'nuslerp';
  readonly sources: readonly [SourceId, SourceId];
  readonly t: readonly number[];
}

/** Mixed task vectors: whole, trimmed to the largest, or without outliers; with an elected sign for `…ties`. */
export interface TaskMixRecipe {
  readonly operator: 'task_arithmetic' | 'ties' | 'breadcrumbs' | 'breadcrumbs_ties';
  readonly sources: readonly SourceId[];
  readonly weights: GroupWeights;
  /** Of no effect on `task_arithmetic`. */
  readonly density: number;
  readonly lambda: number;
}

/** Randomly dropped task vectors; with an elected sign for `dare_ties` and `della`. */
export interface RandomMixRecipe {
  readonly operator: 'dare_linear' | 'dare_ties' | 'della' | 'della_linear';
  readonly sources: readonly SourceId[];
  readonly weights: GroupWeights;
  readonly density: number;
  readonly lambda: number;
  readonly rescale: DareRescale;
  /** Seed of the masks: 32 bits. */
  readonly seed: number;
}

/** Methods that weigh the sources themselves. */
export interface PlainRecipe {
  readonly operator: 'karcher' | 'sce' | 'ram' | 'ramplus_tl';
  readonly sources: readonly SourceId[];
  /** Parameters of the method, besides its defaults: `select_topk` of sce, `r` and `alpha` of ramplus_tl. */
  readonly settings: Readonly<Record<string, number>>;
}

/** Layer-wise passthrough: each layer is one layer of one source; the rest comes from source number `frame`. */
export interface FrankenmergeRecipe {
  readonly operator: 'frankenmerge';
  readonly sources: readonly SourceId[];
  readonly layers: readonly LayerPick[];
  readonly frame: number;
}

/** Data-flow space: as frankenmerge, with a scale on the input of each layer. */
export interface DfsRecipe {
  readonly operator: 'dfs';
  readonly sources: readonly SourceId[];
  readonly layers: readonly ScaledPick[];
  readonly frame: number;
}

/** How an individual is made from others. Plain JSON: it is the genome, the lineage and the key of the cache. */
export type Recipe =
  | WeightedRecipe
  | SlerpRecipe
  | TaskMixRecipe
  | RandomMixRecipe
  | PlainRecipe
  | FrankenmergeRecipe
  | DfsRecipe;

/** A recipe that merges tensor by tensor, all of one shape. */
export type ElementwiseRecipe = Exclude<Recipe, FrankenmergeRecipe | DfsRecipe>;

/** Decoder layers of the model that a recipe makes, when its sources have `sourceLayers`. */
export function layersOfRecipe(recipe: Recipe, sourceLayers: number): number {
  return 'layers' in recipe ? recipe.layers.length : sourceLayers;
}
