import { MERGE_METHODS, type MergeMethod, MergeOperandError, mergeTensors } from '@agentforge/merging';
import { Philox } from '@agentforge/tensor';
import { groupMerge } from './group-merge.js';
import { groupOf, layerOf, layersOf, layerTensor, type ShapeOf, type Weights } from './layout.js';
import type { DfsRecipe, ElementwiseRecipe, FrankenmergeRecipe, Recipe } from './recipe.js';

/** Projections that write to the residual stream of a layer. */
export const RESIDUAL_OUTPUTS: ReadonlySet<string> = new Set([
  'self_attn.o_proj.weight',
  'self_attn.o_proj.bias',
  'mlp.down_proj.weight',
  'mlp.down_proj.bias',
]);

/**
 * Makes the weights of a recipe, tensor by tensor: besides the result, memory holds what one tensor needs.
 * @param sources  weights in the order of `recipe.sources`; not modified, never shared with the result
 * @param base     what task vectors are measured from; its shapes are those of the sources. A source that is the base
 *                 itself has no task vector and is left out of methods that are about those, as in mergekit
 * @param shapeOf  shapes of the sources' tensors
 * @throws MergeOperandError  INVALID_ARGUMENT: sources do not fit the recipe or each other
 */
export function merge(
  recipe: Recipe,
  sources: readonly Weights[],
  base: Weights,
  shapeOf: ShapeOf,
): Map<string, Float32Array> {
  if (sources.length !== recipe.sources.length) {
    throw new MergeOperandError(recipe.operator, `${sources.length} of ${recipe.sources.length} sources`);
  }
  if (recipe.operator === 'frankenmerge' || recipe.operator === 'dfs') return stack(recipe, sources);
  const [first] = sources;
  if (!first) throw new MergeOperandError(recipe.operator, 'nothing to merge');
  const layers = layersOf(first);
  const merged = new Map<string, Float32Array>();
  for (const [name, { length }] of first) {
    merged.set(name, mergeTensor(recipe, name, groupOf(name, layers), sources, base, shapeOf(name, length)));
  }
  return merged;
}

function mergeTensor(
  recipe: ElementwiseRecipe,
  name: string,
  group: number,
  sources: readonly Weights[],
  ancestor: Weights,
  shape: readonly number[],
): Float32Array {
  const { method, base, settings, own } = groupMerge(recipe, group);
  const origin = base === null ? undefined : base === 'ancestor' ? ancestor : (sources[0] as Weights);
  const models = sources.flatMap((source, i) =>
    source === origin ? [] : [{ values: tensorOf(method, source, name), settings: own[i] ?? {} }],
  );
  return mergeTensors(MERGE_METHODS.get(method) as MergeMethod, {
    shape,
    base: origin && tensorOf(method, origin, name),
    models,
    settings,
    stream: new Philox('seed' in recipe ? recipe.seed : 0).stream(name),
  });
}

/**
 * Stacks layers of several models.
 *
 * A scale sₗ on the input of layer l multiplies the residual stream by cₗ = s₁…sₗ from there on. RMSNorm takes every
 * layer's input, and the final norm the output, to unit size, so the same function is computed by an unscaled stream
 * to which layer l adds its output times 1/cₗ: the result stays a plain llama (exact up to the epsilon of the norm).
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
      const factor = 1 / scale;
      const source = sources[pick.source];
      if (!source) throw new MergeOperandError(recipe.operator, `no source ${pick.source}`);
      for (const rest of layerNames) {
        const tensor = tensorOf(recipe.operator, source, layerTensor(pick.layer, rest));
        const isScaled = scale !== 1 && RESIDUAL_OUTPUTS.has(rest);
        merged.set(layerTensor(l, rest), isScaled ? tensor.map((value) => value * factor) : tensor.slice());
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
