import type { DareRescale, Recipe, SourceId } from '../recipe.js';

/** Operators whose numbers can be searched as a vector. */
export const VECTOR_OPERATORS = [
  'linear',
  'multislerp',
  'task_arithmetic',
  'ties',
  'dare_linear',
  'dare_ties',
  'della',
  'della_linear',
  'breadcrumbs',
  'breadcrumbs_ties',
  'dfs',
] as const;

/** One of {@link VECTOR_OPERATORS}. */
export type VectorOperator = (typeof VECTOR_OPERATORS)[number];

/** How the input scales of data-flow space are numbered: one per layer, or one per pair of successive layers. */
export type DfsScaling = 'layer' | 'pair';

/** What vectors stand for. */
export interface VectorSpace {
  readonly operator: VectorOperator;
  readonly sources: readonly SourceId[];
  /** Decoder layers of the sources. */
  readonly layers: number;
  readonly dareRescale: DareRescale;
  /** Seed of random masks: the same for all, so that vectors are compared and not luck. */
  readonly maskSeed: number;
  readonly dfs: {
    readonly extraLayers: number;
    readonly droppedLayers: number;
    readonly repeats: number;
    readonly scaling: DfsScaling;
  };
}

/** Turns vectors of [0, 1]ⁿ into recipes. */
export interface Codec {
  /** The vector of the recipe that a search starts from: as near to the uniform average as the operator comes. */
  readonly start: readonly number[];
  /** Decoder layers of the sources. */
  readonly layers: number;
  /** @param genes  as long as `start`; what leaves [0, 1] is cut off */
  decode(genes: readonly number[]): Recipe;
}

/** A gene, cut off at its bounds. */
export function gene(genes: readonly number[], at: number): number {
  const value = genes[at];
  if (value === undefined) throw new TypeError(`a genome has no gene ${at}`);
  return Math.min(1, Math.max(0, value));
}
