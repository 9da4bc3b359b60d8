import { groupCount } from '../layout.js';
import type { GroupWeights, Recipe } from '../recipe.js';
import { dfsCodec } from './dfs-codec.js';
import { type Codec, gene, type VectorSpace } from './vector-space.js';

/** Densities below this leave too little of a delta to be worth an evaluation. */
const DENSITY = [0.05, 1] as const;

/** Bounds of the factor on a mixed delta. */
const LAMBDA = [0.1, 1.9] as const;

/** The codec of an operator. */
export function codecOf(space: VectorSpace): Codec {
  const { operator, sources } = space;
  switch (operator) {
    case 'dfs':
      return dfsCodec(space);
    case 'linear':
      return linearCodec(space);
    case 'multislerp': {
      // Never 0: where all weights of a group are 0 there is no direction.
      const range = [0.05 / sources.length, 1.95 / sources.length] as const;
      return weightsCodec(space, [], (weights) => ({ operator, sources, weights, normalize: true }), range);
    }
    case 'task_arithmetic':
      return weightsCodec(space, [], (weights) => ({ operator, sources, weights, density: 1, lambda: 1 }));
    case 'ties':
    case 'breadcrumbs':
    case 'breadcrumbs_ties':
      return weightsCodec(space, [0.75, 0.5], (weights, density, lambda) => ({
        ...{ operator, sources, weights },
        density: between(DENSITY, density),
        lambda: between(LAMBDA, lambda),
      }));
    default: {
      const masks = { rescale: space.dareRescale, seed: space.maskSeed };
      return weightsCodec(space, [0.75, 0.5], (weights, density, lambda) => ({
        ...{ operator, sources, weights, ...masks },
        density: between(DENSITY, density),
        lambda: between(LAMBDA, lambda),
      }));
    }
  }
}

/**
 * `linear` with weights that sum to 1 in every group: one coordinate less than sources, along orthonormal directions of
 * the plane Σ w = 1, so that no source is special. The sum is not a gene: it would scale the final norm and the tied
 * embedding, and with them the temperature of the output, which every parent could have had as well.
 */
function linearCodec({ sources, layers }: VectorSpace): Codec {
  const plane = simplexPlane(sources.length);
  const groups = groupCount(layers);
  return {
    layers,
    start: new Array(groups * plane.length).fill(0.5),
    decode: (genes) => {
      const weights = Array.from({ length: groups }, (_, group) =>
        sources.map((_, source) =>
          plane.reduce((sum, direction, k) => {
            const coordinate = 2 * gene(genes, group * plane.length + k) - 1;
            return sum + coordinate * (direction[source] as number);
          }, 1 / sources.length),
        ),
      );
      return { operator: 'linear', sources, weights, normalize: false };
    },
  };
}

/** Weights per group and source between 0 and 2/n, then some numbers of the operator. */
function weightsCodec(
  { sources, layers }: VectorSpace,
  startOfRest: readonly number[],
  recipe: (weights: GroupWeights, ...rest: number[]) => Recipe,
  range: readonly [number, number] = [0, 2 / sources.length],
): Codec {
  const groups = groupCount(layers);
  const count = groups * sources.length;
  return {
    layers,
    start: [...new Array(count).fill(0.5), ...startOfRest],
    decode: (genes) => {
      const weights = Array.from({ length: groups }, (_, group) =>
        sources.map((_, source) => between(range, gene(genes, group * sources.length + source))),
      );
      return recipe(weights, ...startOfRest.map((_, i) => gene(genes, count + i)));
    },
  };
}

/** n − 1 orthonormal vectors of length n whose elements sum to 0 (Helmert). */
export function simplexPlane(n: number): readonly (readonly number[])[] {
  return Array.from({ length: n - 1 }, (_, k) => {
    const scale = 1 / Math.sqrt((k + 1) * (k + 2));
    return Array.from({ length: n }, (_, i) => (i <= k ? scale : i === k + 1 ? -(k + 1) * scale : 0));
  });
}

/** A gene's place between two bounds. */
function between([low, high]: readonly [number, number], gene: number | undefined): number {
  return low + (high - low) * (gene ?? 0);
}
