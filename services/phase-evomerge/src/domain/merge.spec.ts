import {
  evaluate,
  LlamaModel,
  type ModelConfig,
  parameterShapes,
  presetConfig,
  titansMag,
} from '@agentforge/model';
import { noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import { uniformRecipe } from './breeding.js';
import { type GenomeSpace, mutateRecipe, randomRecipe } from './genome.js';
import { groupCount, layersOf, shapesOf, type Weights } from './layout.js';
import { merge as mergeShaped } from './merge.js';
import { GENOME_OPERATORS, type Recipe } from './recipe.js';

const config: ModelConfig = presetConfig('pico', {
  vocabSize: 32,
  hiddenSize: 32,
  numLayers: 3,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 16,
  intermediateSize: 48,
  contextLength: 32,
  // So small that RMSNorm is scale-free to rounding: what data-flow scales rely on.
  rmsNormEps: 1e-12,
});
const space: GenomeSpace = {
  operators: GENOME_OPERATORS,
  layers: 3,
  extraLayers: 2,
  dareRescale: 'match_l1',
};

const shapeOf = shapesOf(parameterShapes(config));
const merge = (recipe: Recipe, sources: readonly Weights[], base: Weights) =>
  mergeShaped(recipe, sources, base, shapeOf);

function weightsOf(seed: number): Weights {
  const model = LlamaModel.init(config, new Philox(seed));
  const weights = model.exportWeights();
  model.dispose();
  // Larger than at initialisation, so that every layer changes what comes out.
  return new Map(
    [...weights].map(([name, data]) => [name, data.map((value) => value * (data.length > 32 ? 6 : 1))]),
  );
}

function logitsOf(weights: Weights): Float32Array {
  const model = LlamaModel.fromState({ ...config, numLayers: layersOf(weights) }, weights);
  const tokens = Int32Array.from({ length: 16 }, (_, i) => (i * 7) % 32);
  const logits = noGrad(() => scope(() => model.forward(tensor(tokens, [1, 16])).toFloat32Array()));
  model.dispose();
  return logits;
}

function largestDifference(x: Float32Array, y: Float32Array): number {
  expect(x).toHaveLength(y.length);
  return x.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (y[i] as number))), 0);
}

const [a, b, c] = [weightsOf(1), weightsOf(2), weightsOf(3)];
const base = merge(uniformRecipe(['a', 'b', 'c'], 3), [a, b, c], a);

describe('merge()', () => {
  it.each([...GENOME_OPERATORS])('%s of identical models is that model', (operator) => {
    const recipe = randomRecipe(operator, ['a', 'b', 'c'], space, new Philox(4), 0);
    const same =
      recipe.operator === 'dfs'
        ? { ...recipe, layers: recipe.layers.map((l) => ({ ...l, scale: 1 })) }
        : recipe;
    const merged = merge(
      same as Recipe,
      same.sources.map(() => a),
      a,
    );
    for (const [name, values] of a) {
      const found = merged.get(name) as Float32Array;
      expect(largestDifference(found, values)).toBeLessThan(1e-5);
    }
  });

  it.each([...GENOME_OPERATORS])('%s gives every tensor, all finite, also after mutations', (operator) => {
    const rng = new Philox(5);
    let recipe = randomRecipe(operator, ['a', 'b', 'c'], { ...space, extraLayers: 0 }, rng, 0.3);
    for (let i = 0; i < 5; i++) recipe = mutateRecipe(recipe, { ...space, extraLayers: 0 }, rng, 0.3);
    const all: Record<string, Weights> = { a, b, c };
    const merged = merge(
      recipe,
      recipe.sources.map((id) => all[id] as Weights),
      base,
    );
    expect([...merged.keys()]).toEqual([...a.keys()]);
    for (const values of merged.values()) expect(values.every(Number.isFinite)).toBe(true);
  });

  it('leaves a source out that is the base itself', () => {
    const settings = { density: 0.5, lambda: 1 };
    const weights = (row: number[]) => Array.from({ length: groupCount(3) }, () => row);
    const mix = (sources: string[], row: number[]) => ({
      operator: 'breadcrumbs' as const,
      sources,
      weights: weights(row),
      ...settings,
    });
    expect(merge(mix(['a', 'b'], [0.7, 0.3]), [a, b], a)).toEqual(merge(mix(['b'], [0.3]), [b], a));
  });

  it('never shares memory with a source', () => {
    const layers = [0, 1, 2].map((layer) => ({ source: 0, layer }));
    const merged = merge({ operator: 'frankenmerge', sources: ['a'], layers, frame: 0 }, [a], a);
    for (const [name, values] of merged) expect(values.buffer).not.toBe(a.get(name)?.buffer);
  });

  it('uses the weights of a group for its tensors only', () => {
    const weights = Array.from({ length: groupCount(3) }, (_, group) => (group === 2 ? [0, 1] : [1, 0]));
    const merged = merge({ operator: 'linear', sources: ['a', 'b'], weights, normalize: true }, [a, b], a);
    for (const [name, values] of merged) {
      expect(values).toEqual((name.startsWith('model.layers.1.') ? b : a).get(name));
    }
  });

  it('frankenmerge takes each layer from where the recipe says, and may add layers', () => {
    const layers = [
      { source: 1, layer: 0 },
      { source: 0, layer: 1 },
      { source: 0, layer: 1 },
      { source: 1, layer: 2 },
    ];
    const merged = merge({ operator: 'frankenmerge', sources: ['a', 'b'], layers, frame: 0 }, [a, b], a);
    expect(layersOf(merged)).toBe(4);
    expect(merged.get('model.layers.2.mlp.up_proj.weight')).toEqual(
      a.get('model.layers.1.mlp.up_proj.weight'),
    );
    expect(merged.get('model.layers.3.mlp.up_proj.weight')).toEqual(
      b.get('model.layers.2.mlp.up_proj.weight'),
    );
    expect(logitsOf(merged).every(Number.isFinite)).toBe(true);
  });

  it('the same recipe gives the same bytes', () => {
    const recipe = randomRecipe('dare_ties', ['a', 'b', 'c'], space, new Philox(6), 0.3);
    expect(merge(recipe, [a, b, c], base)).toEqual(merge(recipe, [a, b, c], base));
  });
});

describe('dfs', () => {
  /** The forward pass with scaled layer inputs, written out: x ← block(sₗ · x). */
  function scaledReference(scales: readonly number[]): Float32Array {
    // A scale on the stream before layer l equals scaling every contribution made before it: embedding and layers.
    const scaled = new Map([...a].map(([name, data]) => [name, data.slice()]));
    const before = (l: number) => scales.slice(l).reduce((product, scale) => product * scale, 1);
    for (let l = 0; l < 3; l++) {
      for (const rest of ['self_attn.o_proj.weight', 'mlp.down_proj.weight']) {
        const name = `model.layers.${l}.${rest}`;
        scaled.set(
          name,
          (scaled.get(name) as Float32Array).map((value) => value * before(l + 1)),
        );
      }
    }
    const embedding = (scaled.get('model.embed_tokens.weight') as Float32Array).map(
      (value) => value * before(0),
    );
    // The head is tied: what the larger embedding adds to the logits is divided out again.
    scaled.set('model.embed_tokens.weight', embedding);
    return logitsOf(scaled).map((value) => value / before(0));
  }

  it('computes what scaled layer inputs compute, as a plain llama', () => {
    const scales = [0.7, 1.6, 1.3];
    const layers = scales.map((scale, layer) => ({ source: 0, layer, scale }));
    const merged = merge({ operator: 'dfs', sources: ['a'], layers, frame: 0 }, [a], a);
    const expected = scaledReference(scales);
    expect(largestDifference(logitsOf(merged), expected)).toBeLessThan(1e-4);
    expect(largestDifference(logitsOf(merged), logitsOf(a))).toBeGreaterThan(1e-2);
  });

  it('with unit scales is frankenmerge', () => {
    const layers = [0, 1, 2].map((layer) => ({ source: layer % 2, layer }));
    const plain = merge({ operator: 'frankenmerge', sources: ['a', 'b'], layers, frame: 1 }, [a, b], a);
    const scaled = layers.map((pick) => ({ ...pick, scale: 1 }));
    expect(merge({ operator: 'dfs', sources: ['a', 'b'], layers: scaled, frame: 1 }, [a, b], a)).toEqual(
      plain,
    );
  });
});

it('a merged model can be evaluated', () => {
  const merged = merge(uniformRecipe(['a', 'b'], 3), [a, b], a);
  const model = LlamaModel.fromState(config, merged);
  const tokens = Int32Array.from({ length: 100 }, (_, i) => (i * 5) % 32);
  const { lossNats } = evaluate(model, { tokens, bytesOfId: new Int32Array(32).fill(1) }, { length: 16 });
  model.dispose();
  expect(lossNats).toBeGreaterThan(0);
});

describe('models with a neural memory', () => {
  const titans = titansMag(config, { memory: { expansion: 1 } });
  const shapes = parameterShapes(titans);
  const parent = (seed: number): Weights => {
    const model = LlamaModel.init(titans, new Philox(seed));
    const weights = model.exportWeights();
    model.dispose();
    // Gates start without a bias, and training leaves none at zero: a direction is what spherical methods need.
    const rng = new Philox(seed + 10);
    return new Map(
      [...weights].map(([name, data]) => [
        name,
        name.endsWith('bias') ? data.map((value) => value + 0.1 * rng.normal()) : data,
      ]),
    );
  };
  const base = parent(1);
  const parents = [2, 3, 4].map(parent);

  it.each(GENOME_OPERATORS)('are merged by %s into one that computes', (operator) => {
    const recipe = randomRecipe(operator, ['a', 'b', 'c'], space, new Philox(4), 0.1);
    const sources = parents.slice(0, recipe.sources.length);
    const merged = mergeShaped(recipe, sources, base, shapesOf(shapes));
    const layers = layersOf(merged);
    const model = LlamaModel.fromState({ ...titans, numLayers: layers }, merged);
    const logits = noGrad(() =>
      scope(() => model.forward(tensor(Int32Array.of(1, 2, 3, 4, 5), [1, 5])).toFloat32Array()),
    );
    model.dispose();
    expect(logits.every(Number.isFinite)).toBe(true);
    const kind = /memory\.neural\.layers\.0\.weight$/;
    expect([...merged.keys()].filter((name) => kind.test(name))).toHaveLength(layers);
  });
});
