import type { DareRescale } from './operators/sparsify.js';

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

/** Name of an operator. */
export type OperatorName = (typeof OPERATORS)[number];

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

/** `Σ wᵢ xᵢ`, divided by `Σ wᵢ` when normalised. */
export interface LinearRecipe {
  readonly operator: 'linear';
  readonly sources: readonly SourceId[];
  readonly weights: GroupWeights;
  readonly normalize: boolean;
}

/** Spherical interpolation of two sources; one `t` per group. */
export interface SlerpRecipe {
  readonly operator: 'slerp';
  readonly sources: readonly [SourceId, SourceId];
  readonly t: readonly number[];
}

/** Trimmed task vectors with an elected sign. */
export interface TiesRecipe {
  readonly operator: 'ties';
  readonly sources: readonly SourceId[];
  readonly weights: GroupWeights;
  readonly density: number;
  readonly lambda: number;
}

/** Randomly dropped task vectors; with an elected sign for `dare_ties`. */
export interface DareRecipe {
  readonly operator: 'dare_linear' | 'dare_ties';
  readonly sources: readonly SourceId[];
  readonly weights: GroupWeights;
  readonly density: number;
  readonly lambda: number;
  readonly rescale: DareRescale;
  /** Seed of the masks: 32 bits. */
  readonly seed: number;
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
export type Recipe = LinearRecipe | SlerpRecipe | TiesRecipe | DareRecipe | FrankenmergeRecipe | DfsRecipe;

/** Decoder layers of the model that a recipe makes, when its sources have `sourceLayers`. */
export function layersOfRecipe(recipe: Recipe, sourceLayers: number): number {
  return 'layers' in recipe ? recipe.layers.length : sourceLayers;
}
