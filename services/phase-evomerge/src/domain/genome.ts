import type { Philox } from '@agentforge/tensor';
import { groupCount } from './layout.js';
import type { DareRescale, GroupWeights, OperatorName, Recipe, ScaledPick, SourceId } from './recipe.js';

/** Densities below this leave too little of a delta to be worth an evaluation. */
const MIN_DENSITY = 0.05;

/** Bounds of the factor on a mixed delta. */
const LAMBDA = [0.1, 2] as const;

/** Bounds of the scale on the input of a layer. */
const SCALE = [0.5, 2] as const;

/** What recipes may be made of. */
export interface GenomeSpace {
  readonly operators: readonly OperatorName[];
  /** Decoder layers of the parents. */
  readonly layers: number;
  /** Most layers that stacking may add. */
  readonly extraLayers: number;
  readonly dareRescale: DareRescale;
}

/**
 * A random recipe near the uniform average: weights `1/n` with noise, moderate densities, every layer in its own
 * place. Far from it nothing of use is found.
 * @param sigma  spread of the weights around `1/n`, relative to `1/n`
 */
export function randomRecipe(
  operator: OperatorName,
  sources: readonly SourceId[],
  space: GenomeSpace,
  rng: Philox,
  sigma: number,
): Recipe {
  switch (operator) {
    case 'linear':
      return {
        operator,
        sources,
        weights: randomWeights(sources.length, space, rng, sigma),
        normalize: true,
      };
    case 'multislerp': {
      // Kept above 0: where all weights of a group are 0 there is no direction.
      const least = 0.05 / sources.length;
      const weights = randomWeights(sources.length, space, rng, sigma);
      return {
        operator,
        sources,
        weights: weights.map((row) => row.map((weight) => Math.max(least, weight))),
        normalize: true,
      };
    }
    case 'slerp':
    case 'nuslerp': {
      const [a = 0, b = 0] = rng.permutation(sources.length);
      const pair = [sources[a] as SourceId, sources[b] as SourceId] as const;
      return { operator, sources: pair, t: groups(space, () => clamp(0.5 + sigma * rng.normal(), 0, 1)) };
    }
    case 'task_arithmetic':
    case 'ties':
    case 'breadcrumbs':
    case 'breadcrumbs_ties':
      return { operator, sources, ...randomTaskMix(sources.length, space, rng, sigma) };
    case 'karcher':
    case 'ram':
      return { operator, sources, settings: {} };
    case 'sce':
      return { operator, sources, settings: { select_topk: clamp(0.5 + 0.5 * rng.float(), MIN_DENSITY, 1) } };
    case 'ramplus_tl':
      return { operator, sources, settings: { r: 0.2 * rng.float(), alpha: 0.4 * rng.float() } };
    case 'dare_linear':
    case 'dare_ties':
    case 'della':
    case 'della_linear': {
      const mix = randomTaskMix(sources.length, space, rng, sigma);
      return { operator, sources, ...mix, rescale: space.dareRescale, seed: rng.uint32() };
    }
    case 'frankenmerge': {
      const layers = inPlace(sources.length, space, rng);
      return { operator, sources, layers, frame: rng.integer(sources.length) };
    }
    case 'dfs': {
      const layers = inPlace(sources.length, space, rng).map((pick) => ({
        ...pick,
        scale: mutateScale(1, sigma, rng),
      }));
      return { operator, sources, layers, frame: rng.integer(sources.length) };
    }
  }
}

/**
 * A recipe close to another one, with the same operator and sources.
 * @param sigma  size of the change: standard deviation of weights relative to `1/n`, of `t`, densities and scales
 */
export function mutateRecipe(recipe: Recipe, space: GenomeSpace, rng: Philox, sigma: number): Recipe {
  switch (recipe.operator) {
    case 'linear':
    case 'multislerp':
      return { ...recipe, normalize: false, weights: mutateWeights(unitSums(recipe), rng, sigma) };
    case 'slerp':
    case 'nuslerp':
      return { ...recipe, t: recipe.t.map((t) => clamp(t + sigma * rng.normal(), 0, 1)) };
    case 'task_arithmetic':
    case 'ties':
    case 'breadcrumbs':
    case 'breadcrumbs_ties':
      return { ...recipe, ...mutateTaskMix(recipe, rng, sigma) };
    case 'karcher':
    case 'sce':
    case 'ram':
    case 'ramplus_tl':
      return { ...recipe, settings: mutateSettings(recipe.settings, rng, sigma) };
    case 'dare_linear':
    case 'dare_ties':
    case 'della':
    case 'della_linear':
      return { ...recipe, ...mutateTaskMix(recipe, rng, sigma), seed: rng.uint32() };
    case 'frankenmerge':
      return { ...recipe, layers: mutateStack(recipe.layers, recipe.sources.length, space, rng) };
    case 'dfs':
      return {
        ...recipe,
        layers: mutateScaledStack(recipe.layers, recipe.sources.length, space, rng, sigma),
      };
  }
}

/** Weights divided by their sum per group, so that a normalised recipe can go on as one that is not. */
function unitSums({ weights, normalize }: { weights: GroupWeights; normalize: boolean }): GroupWeights {
  if (!normalize) return weights;
  return weights.map((row) => {
    const total = row.reduce((sum, weight) => sum + weight, 0);
    return Math.abs(total) < 1e-8 ? row : row.map((weight) => weight / total);
  });
}

function randomWeights(sources: number, space: GenomeSpace, rng: Philox, sigma: number): GroupWeights {
  return groups(space, () =>
    Array.from({ length: sources }, () => Math.max(0, (1 + sigma * rng.normal()) / sources)),
  );
}

/** One offset per source common to all groups, and a smaller one per group: layers rarely want opposite mixes. */
function mutateWeights(weights: GroupWeights, rng: Philox, sigma: number): GroupWeights {
  const sources = weights[0]?.length ?? 1;
  const common = Array.from({ length: sources }, () => rng.normal());
  return weights.map((row) =>
    row.map((weight, i) => weight + (sigma * ((common[i] as number) + 0.5 * rng.normal())) / sources),
  );
}

function randomTaskMix(sources: number, space: GenomeSpace, rng: Philox, sigma: number) {
  return {
    weights: randomWeights(sources, space, rng, sigma),
    density: clamp(0.5 + 0.5 * rng.float(), MIN_DENSITY, 1),
    lambda: clamp(1 + sigma * rng.normal(), ...LAMBDA),
  };
}

function mutateTaskMix(
  recipe: { weights: GroupWeights; density: number; lambda: number },
  rng: Philox,
  sigma: number,
) {
  return {
    weights: mutateWeights(recipe.weights, rng, sigma),
    density: clamp(recipe.density + sigma * rng.normal(), MIN_DENSITY, 1),
    lambda: clamp(recipe.lambda + sigma * rng.normal(), ...LAMBDA),
  };
}

/** Parameters that are shares: each one stays in (0, 1]. */
function mutateSettings(settings: Readonly<Record<string, number>>, rng: Philox, sigma: number) {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      clamp(value + sigma * rng.normal(), MIN_DENSITY, 1),
    ]),
  );
}

/** Whether an operator has nothing to mutate but its sources. */
export function isGeneless(recipe: Recipe): boolean {
  return 'settings' in recipe && Object.keys(recipe.settings).length === 0;
}

function inPlace(sources: number, space: GenomeSpace, rng: Philox) {
  return Array.from({ length: space.layers }, (_, layer) => ({ source: rng.integer(sources), layer }));
}

/** Takes one layer from elsewhere: another source, or a neighbour; now and then adds or drops one. */
function mutateStack<Pick extends { source: number; layer: number }>(
  layers: readonly Pick[],
  sources: number,
  space: GenomeSpace,
  rng: Philox,
): readonly Pick[] {
  const at = rng.integer(layers.length);
  const pick = layers[at] as Pick;
  const most = space.layers + space.extraLayers;
  if (layers.length < most && rng.float() < 0.25) return layers.toSpliced(at, 0, pick);
  if (layers.length > space.layers && rng.float() < 0.25) return layers.toSpliced(at, 1);
  const isMoved = rng.float() < 0.2;
  const layer = isMoved ? clamp(pick.layer + (rng.float() < 0.5 ? -1 : 1), 0, space.layers - 1) : pick.layer;
  return layers.with(at, { ...pick, layer, source: rng.integer(sources) });
}

function mutateScaledStack(
  layers: readonly ScaledPick[],
  sources: number,
  space: GenomeSpace,
  rng: Philox,
  sigma: number,
): readonly ScaledPick[] {
  const picks = rng.float() < 0.5 ? mutateStack(layers, sources, space, rng) : layers;
  return picks.map((pick) => ({ ...pick, scale: mutateScale(pick.scale, sigma, rng) }));
}

function mutateScale(scale: number, sigma: number, rng: Philox): number {
  return clamp(scale * Math.exp(sigma * rng.normal()), ...SCALE);
}

function groups<T>(space: GenomeSpace, make: () => T): T[] {
  return Array.from({ length: groupCount(space.layers) }, make);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
