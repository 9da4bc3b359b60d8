import type { ScaledPick } from '../recipe.js';
import { type Codec, gene, type VectorSpace } from './vector-space.js';

/** Largest factor on the input of a layer, and 1 over the smallest. */
const MAX_SCALE = 2;

/** Indicators of layers that are in and out of the stack at the start: off the middle by a step that searches can take back. */
const START = { in: 0.6, out: 0.4 } as const;

/**
 * Data-flow space: the layers of all sources one after the other, the whole sequence several times over; an indicator per
 * place says whether its layer takes part, and a matrix scales what a layer gets from the one before it.
 *
 * The number of layers is bounded: of too many the ones with the largest indicators stay, and of too few the next ones join.
 * The first layer gets the embedding, of the source that the last gene names, as it is.
 * @see Akiba et al. 2024, arXiv:2403.13187 §3.2: T = M·r indicators and W, M×M
 */
export function dfsCodec({ sources, layers, dfs }: VectorSpace): Codec {
  const all = sources.length * layers;
  const places = all * dfs.repeats;
  const scales = dfs.scaling === 'pair' ? all * all : all;
  const least = Math.max(1, layers - dfs.droppedLayers);
  const most = layers + dfs.extraLayers;
  // The search starts from the last source: the uniform average where there is one.
  const last = (sources.length - 1) * layers;
  const start = [
    ...Array.from({ length: places }, (_, at) => (at >= last && at < last + layers ? START.in : START.out)),
    ...new Array(scales).fill(0.5),
    1 - 0.5 / sources.length,
  ];
  return {
    layers,
    start,
    decode: (genes) => {
      const chosen = chooseLayers(genes, places, least, most).map((place) => place % all);
      const picks = chosen.map((index, at): ScaledPick => {
        const before = chosen[at - 1];
        const scaleGene = dfs.scaling === 'pair' ? (before ?? 0) * all + index : index;
        const exponent = before === undefined ? 0 : 2 * gene(genes, places + scaleGene) - 1;
        return { source: Math.floor(index / layers), layer: index % layers, scale: MAX_SCALE ** exponent };
      });
      const frame = Math.min(sources.length - 1, Math.floor(gene(genes, places + scales) * sources.length));
      return { operator: 'dfs', sources, layers: picks, frame };
    },
  };
}

/** Places whose indicator is above a half, in order; their number within bounds. */
function chooseLayers(genes: readonly number[], places: number, least: number, most: number): number[] {
  const order = Array.from({ length: places }, (_, i) => i).sort(
    (i, j) => gene(genes, j) - gene(genes, i) || i - j,
  );
  const wanted = order.filter((place) => gene(genes, place) > 0.5).length;
  return order.slice(0, Math.min(most, Math.max(least, wanted))).sort((i, j) => i - j);
}
