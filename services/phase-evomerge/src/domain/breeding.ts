import type { Philox } from '@agentforge/tensor';
import { type GenomeSpace, isGeneless, mutateRecipe, randomRecipe } from './genome.js';
import { byFitness, type Individual, type Origin } from './individual.js';
import { groupCount } from './layout.js';
import { GENOME_OPERATORS, layersOfRecipe, type OperatorName, type Recipe, type SourceId } from './recipe.js';

/** Individuals that are mutated. */
const ELITE = 2;

/** Operators that can merge any models of one shape, hence children with each other. */
const ELEMENTWISE: readonly OperatorName[] = GENOME_OPERATORS.filter(
  (operator) => operator !== 'frankenmerge' && operator !== 'dfs',
);

/** Those of them that need no base, whose shape is that of the parents. */
const BASELESS: readonly OperatorName[] = ['linear', 'slerp', 'nuslerp', 'multislerp', 'karcher'];

/** How a population breeds. */
export interface BreedingOptions {
  readonly population: number;
  /** Size of mutations. */
  readonly sigma: number;
  readonly space: GenomeSpace;
  /** Ids of the parents: always available as sources. */
  readonly parents: readonly SourceId[];
}

/** The uniform average of the parents, as mergekit's `linear` makes it. */
export function uniformRecipe(parents: readonly SourceId[], layers: number): Recipe {
  const row = parents.map(() => 1);
  const weights = Array.from({ length: groupCount(layers) }, () => row);
  return { operator: 'linear', sources: parents, weights, normalize: true };
}

/**
 * Generation 0: the parents, their uniform average, one individual per operator, and further random ones until the
 * population is full. The trivial ones take part, so that the best can never be worse than they are.
 */
export function firstGeneration(options: BreedingOptions, rng: Philox): Individual[] {
  const { parents, space, population } = options;
  const birth = birthOf(0);
  const found = trivialOnes(options, birth);
  for (let i = 0; i < space.operators.length || found.length < population; i++) {
    const operator = space.operators[i % space.operators.length] as OperatorName;
    found.push(
      birth('initial', randomRecipe(operator, parents, space, rng, 3 * options.sigma), space.layers),
    );
  }
  return found;
}

/** The parents and their uniform average, which is born first. */
export function trivialOnes(
  { parents, space: { layers } }: Pick<BreedingOptions, 'parents' | 'space'>,
  birth: Birth,
): Individual[] {
  return [
    ...parents.map((id): Individual => ({ id, generation: 0, origin: 'parent', recipe: null, layers })),
    birth('uniform', uniformRecipe(parents, layers), layers),
  ];
}

/**
 * The next generation: the two fittest are mutated into `population - 2`, the rest are merged in two groups into two
 * chaos children. Mutations come in three sizes (σ, σ/3, σ/9), so that no schedule of σ has to be guessed.
 * @param ranked    the present population, fittest first
 * @param reseed    random newcomers that replace the last mutants
 */
export function nextGeneration(
  generation: number,
  ranked: readonly Individual[],
  options: BreedingOptions & { readonly reseed: number },
  rng: Philox,
): Individual[] {
  const { population, space, parents, sigma, reseed } = options;
  const birth = birthOf(generation);
  const children: Individual[] = [];
  const mutants = population - 2 - reseed;
  for (let i = 0; i < mutants; i++) {
    const parent = ranked[i % ELITE] as Individual;
    const size = sigma / 3 ** (Math.floor(i / ELITE) % 3);
    const recipe = mutate(parent, generation, options, rng, size);
    children.push({ ...birth('mutation', recipe, parent.layers), mutatedFrom: parent.id });
  }
  for (let i = 0; i < reseed; i++) {
    const operator = space.operators[rng.integer(space.operators.length)] as OperatorName;
    children.push(birth('reseed', randomRecipe(operator, parents, space, rng, 3 * sigma), space.layers));
  }
  const rest = rng.permutation(ranked.length - ELITE);
  const half = Math.ceil(rest.length / 2);
  for (const group of [rest.slice(0, half), rest.slice(half)]) {
    const members = [...group].map((i) => ranked[ELITE + i] as Individual);
    const { recipe, layers } = chaosRecipe(members, options, rng);
    children.push(birth('chaos', recipe, layers));
  }
  return children;
}

/**
 * A changed recipe of the same sources. Where those are older than the two generations whose weights are kept, and for
 * parents and recipes without numbers: a small step towards a parent, or, when the shapes differ, a small change of scale.
 */
function mutate(
  individual: Individual,
  generation: number,
  { space, parents }: BreedingOptions,
  rng: Philox,
  sigma: number,
): Recipe {
  const { id, recipe, layers } = individual;
  const isKept = (source: SourceId) => parents.includes(source) || generationOf(source) >= generation - 2;
  if (recipe && !isGeneless(recipe) && recipe.sources.every(isKept)) {
    const sourceLayers = 'layers' in recipe ? space.layers : layers;
    return mutateRecipe(recipe, { ...space, layers: sourceLayers }, rng, sigma);
  }
  if (layers !== space.layers) {
    return mutateRecipe(uniformRecipe([id], layers), { ...space, layers }, rng, sigma);
  }
  const others = parents.filter((parent) => parent !== id);
  const other = others[rng.integer(others.length)] as SourceId;
  const towards = Math.min(0.5, Math.abs(2 * sigma * rng.normal()));
  return { operator: 'slerp', sources: [id, other], t: new Array(groupCount(layers)).fill(towards) };
}

/** Merges what fits together of a group: its fittest member and those with as many layers. */
function chaosRecipe(group: readonly Individual[], { space, sigma }: BreedingOptions, rng: Philox) {
  const ranked = group.toSorted(byFitness);
  const layers = ranked[0]?.layers ?? space.layers;
  const sources = ranked.filter((member) => member.layers === layers).map(({ id }) => id);
  if (sources.length < 2) return { recipe: uniformRecipe(sources, layers), layers };
  const usable = layers === space.layers ? ELEMENTWISE : BASELESS;
  const operators = usable.filter((operator) => space.operators.includes(operator));
  const operator = operators[rng.integer(Math.max(1, operators.length))] ?? 'linear';
  return { recipe: randomRecipe(operator, sources, { ...space, layers }, rng, sigma), layers };
}

/** Generation in an individual's id; parents count as generation 0. */
function generationOf(id: SourceId): number {
  return Number(/^g(\d+)-/.exec(id)?.[1] ?? 0);
}

/** Gives the individuals of a generation their ids, in the order of birth. */
export type Birth = (origin: Origin, recipe: Recipe, layers: number) => Individual;

/** The births of a generation. */
export function birthOf(generation: number): Birth {
  let number = 0;
  return (origin, recipe, layers) => ({
    id: `g${generation}-${number++}`,
    generation,
    origin,
    recipe,
    layers: layersOfRecipe(recipe, layers),
  });
}
