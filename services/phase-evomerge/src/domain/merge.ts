import { Philox } from '@agentforge/tensor';
import { groupOf, layerOf, layersOf, layerTensor, type Weights } from './layout.js';
import { linear } from './operators/linear.js';
import { MergeOperandError } from './operators/operands.js';
import { slerp } from './operators/slerp.js';
import { dropAndRescale, trimByMagnitude } from './operators/sparsify.js';
import { mixTaskVectors, taskVector } from './operators/task-vectors.js';
import type { DareRecipe, DfsRecipe, FrankenmergeRecipe, Recipe, TiesRecipe } from './recipe.js';

/** Projections that write to the residual stream of a layer. */
const RESIDUAL_OUTPUTS = new Set(['self_attn.o_proj.weight', 'mlp.down_proj.weight']);

/**
 * Makes the weights of a recipe, tensor by tensor: besides the result, memory holds the task vectors of one tensor.
 * @param sources  weights in the order of `recipe.sources`; not modified, never shared with the result
 * @param base     what task vectors are measured from; its shapes are those of the sources
 * @throws MergeOperandError  INVALID_ARGUMENT: sources do not fit the recipe or each other
 */
export function merge(recipe: Recipe, sources: readonly Weights[], base: Weights): Map<string, Float32Array> {
  if (sources.length !== recipe.sources.length) {
    throw new MergeOperandError(recipe.operator, `${sources.length} of ${recipe.sources.length} sources`);
  }
  if (recipe.operator === 'frankenmerge' || recipe.operator === 'dfs') return stack(recipe, sources);
  const [first] = sources;
  if (!first) throw new MergeOperandError(recipe.operator, 'nothing to merge');
  const layers = layersOf(first);
  const merged = new Map<string, Float32Array>();
  for (const name of first.keys()) {
    const tensors = sources.map((source) => tensorOf(recipe.operator, source, name));
    merged.set(name, mergeTensor(recipe, name, groupOf(name, layers), tensors, base));
  }
  return merged;
}

function mergeTensor(
  recipe: Exclude<Recipe, FrankenmergeRecipe | DfsRecipe>,
  name: string,
  group: number,
  tensors: readonly Float32Array[],
  base: Weights,
): Float32Array {
  switch (recipe.operator) {
    case 'linear':
      return linear(tensors, rowOf(recipe.weights, group, recipe.operator), recipe.normalize);
    case 'slerp': {
      const [a, b] = tensors as [Float32Array, Float32Array];
      const t = recipe.t[group];
      if (t === undefined) throw new MergeOperandError('slerp', `no t for group ${group}`);
      return slerp(a, b, t);
    }
    case 'ties':
      return mergeTies(recipe, group, tensors, tensorOf('ties', base, name));
    default:
      return mergeDare(recipe, name, group, tensors, tensorOf(recipe.operator, base, name));
  }
}

function mergeTies(recipe: TiesRecipe, group: number, tensors: readonly Float32Array[], base: Float32Array) {
  const deltas = tensors.map((tensor) => trimByMagnitude(taskVector(tensor, base), recipe.density));
  const weights = rowOf(recipe.weights, group, recipe.operator);
  return mixTaskVectors(base, deltas, weights, { consensus: true, normalize: true, lambda: recipe.lambda });
}

function mergeDare(
  recipe: DareRecipe,
  name: string,
  group: number,
  tensors: readonly Float32Array[],
  base: Float32Array,
) {
  const masks = new Philox(recipe.seed).stream(name);
  const deltas = tensors.map((tensor, i) => {
    const mask = masks.stream(`source-${i}`);
    return dropAndRescale(taskVector(tensor, base), recipe.density, () => mask.float(), recipe.rescale);
  });
  const weights = rowOf(recipe.weights, group, recipe.operator);
  const consensus = recipe.operator === 'dare_ties';
  return mixTaskVectors(base, deltas, weights, { consensus, normalize: false, lambda: recipe.lambda });
}

/**
 * Stacks layers of several models.
 *
 * A scale sₗ on the input of layer l multiplies the residual stream by cₗ = s₁…sₗ from there on. RMSNorm takes every
 * layer's input, and the final norm the output, to unit size, so the same function is computed by an unscaled stream
 * to which layer l adds its output divided by cₗ: the result stays a plain llama (exact up to the epsilon of the norm).
 */
function stack(
  recipe: FrankenmergeRecipe | DfsRecipe,
  sources: readonly Weights[],
): Map<string, Float32Array> {
  const frame = sources[recipe.frame];
  if (!frame || recipe.layers.length === 0)
    throw new MergeOperandError(recipe.operator, 'no frame or no layers');
  const merged = new Map<string, Float32Array>();
  const layerNames = [...frame.keys()].flatMap((name) => {
    const inLayer = layerOf(name);
    return inLayer?.layer === 0 ? [inLayer.rest] : [];
  });
  const addLayers = () => {
    let scale = 1;
    recipe.layers.forEach((pick, l) => {
      scale *= 'scale' in pick ? (pick.scale as number) : 1;
      const source = sources[pick.source];
      if (!source) throw new MergeOperandError(recipe.operator, `no source ${pick.source}`);
      for (const rest of layerNames) {
        const tensor = tensorOf(recipe.operator, source, layerTensor(pick.layer, rest));
        const isScaled = scale !== 1 && RESIDUAL_OUTPUTS.has(rest);
        merged.set(layerTensor(l, rest), isScaled ? tensor.map((value) => value / scale) : tensor.slice());
      }
    });
  };
  let hasLayers = false;
  for (const [name, tensor] of frame) {
    if (!layerOf(name)) merged.set(name, tensor.slice());
    else if (!hasLayers) {
      hasLayers = true;
      addLayers();
    }
  }
  return merged;
}

function tensorOf(operator: string, weights: Weights, name: string): Float32Array {
  const tensor = weights.get(name);
  if (!tensor) throw new MergeOperandError(operator, `a source has no tensor ${name}`);
  return tensor;
}

function rowOf(weights: readonly (readonly number[])[], group: number, operator: string): readonly number[] {
  const row = weights[group];
  if (!row) throw new MergeOperandError(operator, `no weights for group ${group}`);
  return row;
}
