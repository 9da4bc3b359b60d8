import { readFileSync } from 'node:fs';
import { type ModelConfig, parameterShapes, presetConfig } from '@agentforge/model';
import { uniformRecipe } from './breeding.js';
import type { Individual } from './individual.js';
import { asVector, layersOf, shapesOf, type Weights } from './layout.js';
import { merge } from './merge.js';
import { GENOME_OPERATORS, type Recipe } from './recipe.js';
import { recipeYaml } from './recipe-yaml.js';

interface GoldenRecipe {
  /** Recipes of g1-0, g2-0 …; the last one is handed on. */
  readonly chain: readonly Recipe[];
  readonly base: 'mean' | 'first';
  readonly yaml: string;
  /** Why mergekit refuses the YAML; null when it does not. */
  readonly refused: string | null;
  /**
   * Of what mergekit made: the first values of every tensor, and their sum. Null where it differs by design, or
   * does not run with the pydantic that was there.
   */
  readonly tensors: Readonly<
    Record<string, { readonly first: readonly number[]; readonly sum: number }>
  > | null;
}

/** What mergekit-multi makes of recipes that a search wrote (test/golden/merging/make_evolved_golden.py). */
const { recipes } = JSON.parse(
  readFileSync(new URL('../../../../test/golden/merging/evolved.json', import.meta.url), 'utf8'),
) as { recipes: Readonly<Record<string, GoldenRecipe>> };

const LAYERS = 3;
const config: ModelConfig = presetConfig('pico', {
  vocabSize: 16,
  hiddenSize: 8,
  numLayers: LAYERS,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 4,
  intermediateSize: 12,
  contextLength: 32,
  tieWordEmbeddings: false,
});
const shapes = shapesOf(parameterShapes(config));
const ids = ['p0', 'p1', 'p2'];

// The models of make_evolved_golden.py.
const parents = new Map<string, Weights>(
  ids.map((id, model) => {
    const named = [...parameterShapes(config)].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return [
      id,
      new Map(
        named.map(([name, shape], number) => [
          name,
          Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => {
            const shared = (((index + 131 * number) * 40_503) % 65_536) - 32_768;
            const noise =
              (((index + 17 * number) * (30_011 + 7478 * model) + 1237 * model) % 65_536) - 32_768;
            return (3 * shared + noise) / 65_536;
          }),
        ]),
      ),
    ];
  }),
);
const mean = merge(uniformRecipe(ids, LAYERS), [...parents.values()], new Map(), asVector);

/** Everyone of a chain, and the weights of the last. */
function follow({ chain, base }: GoldenRecipe) {
  const all = new Map(parents);
  const individuals = new Map<string, Individual>(
    ids.map((id) => [id, { id, generation: 0, origin: 'parent', recipe: null, layers: LAYERS }]),
  );
  for (const [i, recipe] of chain.entries()) {
    const id = `g${i + 1}-0`;
    const sources = recipe.sources.map((source) => all.get(source) as Weights);
    const weights = merge(recipe, sources, base === 'mean' ? mean : (all.get('p0') as Weights), shapes);
    all.set(id, weights);
    individuals.set(id, { id, generation: 1, origin: 'mutation', recipe, layers: layersOf(weights) });
  }
  const best = `g${chain.length}-0`;
  const yaml = recipeYaml(best, {
    parents: new Map(ids.map((id, i) => [id, `founder-${i}`])),
    individualOf: (id) => individuals.get(id) as Individual,
    base,
  });
  return { weights: all.get(best) as Weights, yaml };
}

describe('mergekit reads the recipe of', () => {
  it.each(Object.entries(recipes))('%s', (_, golden) => {
    const { weights, yaml } = follow(golden);
    expect(yaml).toBe(golden.yaml);
    const isOurs = yaml.includes('rescale: inverse_density');
    expect(golden.refused === null).toBe(!isOurs);
    if (!golden.tensors) return;
    expect(Object.keys(golden.tensors).sort()).toEqual([...weights.keys()].sort());
    for (const [name, { first, sum }] of Object.entries(golden.tensors)) {
      const ours = weights.get(name) as Float32Array;
      first.forEach((value, i) => {
        expect(Math.abs((ours[i] as number) - value)).toBeLessThan(4e-6);
      });
      expect(Math.abs(ours.reduce((total, value) => total + value, 0) - sum)).toBeLessThan(
        4e-6 * ours.length,
      );
    }
  });

  it('every operator', () => {
    const operators = Object.values(recipes).flatMap(({ chain }) => chain.map(({ operator }) => operator));
    expect(GENOME_OPERATORS.filter((operator) => !operators.includes(operator))).toEqual([]);
  });
});
