import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRecipe, prepareMerge, runMerge } from '@agentforge/merging';
import {
  byteTokenizer,
  CONFIG_FILE,
  encodeModelFiles,
  LlamaModel,
  type ModelConfig,
  parameterShapes,
  presetConfig,
  WEIGHTS_FILE,
} from '@agentforge/model';
import { Philox } from '@agentforge/tensor';
import { uniformRecipe } from './breeding.js';
import { type GenomeSpace, mutateRecipe, randomRecipe } from './genome.js';
import type { Individual } from './individual.js';
import { asVector, layersOf, shapesOf, type Weights } from './layout.js';
import { merge } from './merge.js';
import { GENOME_OPERATORS, type Recipe } from './recipe.js';
import { recipeYaml } from './recipe-yaml.js';

const config: ModelConfig = presetConfig('pico', {
  vocabSize: 257,
  hiddenSize: 16,
  numLayers: 3,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 8,
  intermediateSize: 24,
  contextLength: 32,
  tieWordEmbeddings: false,
});
const space: GenomeSpace = {
  operators: GENOME_OPERATORS,
  layers: 3,
  extraLayers: 2,
  dareRescale: 'inverse_density',
};
const ids = ['p0', 'p1', 'p2'];
const parents = new Map<string, Weights>(
  ids.map((id, i) => {
    const model = LlamaModel.init(config, new Philox(i));
    const weights = model.exportWeights();
    model.dispose();
    return [id, weights];
  }),
);
const mean = merge(uniformRecipe(ids, 3), [...parents.values()], new Map(), asVector);
const names = new Map(ids.map((id, i) => [id, `founder-${i}`]));
let folder: string;

const files = (weights: Weights) =>
  encodeModelFiles({ config: { ...config, numLayers: layersOf(weights) }, weights }, byteTokenizer());

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'recipe-yaml-'));
  for (const [id, weights] of parents) {
    const own = join(folder, names.get(id) ?? '');
    await mkdir(own);
    for (const [name, bytes] of files(weights)) await writeFile(join(own, name), bytes);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Merges a chain of recipes here, and by their YAML between files; the bytes must be equal. */
async function expectSameBytes(recipes: readonly Recipe[], base: 'mean' | 'first' = 'mean'): Promise<string> {
  const all = new Map(parents);
  const individuals = new Map<string, Individual>(
    ids.map((id) => [id, { id, generation: 0, origin: 'parent', recipe: null, layers: 3 }]),
  );
  const ancestor = base === 'mean' ? mean : (all.get('p0') as Weights);
  for (const [i, recipe] of recipes.entries()) {
    const id = `g${i + 1}-0`;
    const sources = recipe.sources.map((source) => all.get(source) as Weights);
    const weights = merge(recipe, sources, ancestor, shapesOf(parameterShapes(config)));
    all.set(id, weights);
    individuals.set(id, { id, generation: 1, origin: 'mutation', recipe, layers: layersOf(weights) });
  }
  const best = `g${recipes.length}-0`;
  const individualOf = (id: string) => individuals.get(id) as Individual;
  const yaml = recipeYaml(best, { parents: names, individualOf, base }, ['found by a search']);
  const out = join(folder, 'out');
  await rm(out, { recursive: true, force: true });
  await runMerge(await prepareMerge(parseRecipe(yaml), folder), yaml, out);
  const expected = files(all.get(best) as Weights);
  for (const name of [WEIGHTS_FILE, CONFIG_FILE, 'tokenizer.json']) {
    expect([name, (await readFile(join(out, name))).equals(expected.get(name) as Uint8Array)]).toEqual([
      name,
      true,
    ]);
  }
  return yaml;
}

describe('recipeYaml() gives the same bytes through forge merge for', () => {
  it.each([...GENOME_OPERATORS])('%s', async (operator) => {
    const rng = new Philox(7).stream(operator);
    const first = randomRecipe(operator, ids, space, rng, 0.3);
    await expectSameBytes([first]);
    await expectSameBytes([mutateRecipe(first, space, rng, 0.3)]);
  });

  it('task vectors that are measured from the first parent', async () => {
    for (const operator of ['ties', 'dare_linear', 'della', 'sce'] as const) {
      await expectSameBytes([randomRecipe(operator, ids, space, new Philox(8), 0.3)], 'first');
    }
  });

  it('layers with a frame of their own, and with scales', async () => {
    const stack = (frame: number, scale: number) => ({
      operator: 'dfs' as const,
      sources: ids,
      layers: [0, 1, 1, 2].map((layer, i) => ({ source: i % 3, layer, scale: scale + 0.1 * i })),
      frame,
    });
    expect(await expectSameBytes([stack(0, 0.7)])).toContain('merge_method: passthrough');
    expect(await expectSameBytes([stack(1, 0.7)])).toContain('merge_method: linear');
    expect(
      await expectSameBytes([{ ...stack(0, 1), layers: [{ source: 1, layer: 2, scale: 1.5 }] }]),
    ).toContain('lm_head');
  });

  it('merges of merges', async () => {
    const rng = new Philox(9);
    const yaml = await expectSameBytes([
      randomRecipe('ties', ids, space, rng, 0.3),
      randomRecipe('dfs', ['g1-0', 'p1'], space, rng, 0.3),
      randomRecipe('linear', ['g1-0', 'p0'], space, rng, 0.3),
      randomRecipe('dare_ties', ['g3-0', 'g1-0', 'p2'], space, rng, 0.3),
    ]);
    expect(yaml).toMatch(/^# found by a search\n/);
    expect(yaml.match(/^name: /gm)).toHaveLength(3);
  });

  it('a parent that nothing was better than', () => {
    const individualOf = (id: string): Individual => ({
      id,
      generation: 0,
      origin: 'parent',
      recipe: null,
      layers: 3,
    });
    const yaml = recipeYaml('p1', { parents: names, individualOf, base: 'mean' });
    expect(parseRecipe(yaml).recipes[0]?.slices[0]?.sources[0]?.model).toBe('founder-1');
  });
});
