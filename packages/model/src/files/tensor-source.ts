import { BitLinear, scope } from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';
import { LlamaModel } from '../llama/llama-model.js';
import { WeightsMismatchError } from '../llama/model.errors.js';

/** A model as plain data: what the files hold besides the tokenizer. */
export interface ModelWeights {
  readonly config: ModelConfig;
  /** By Hugging Face name, row-major. */
  readonly weights: ReadonlyMap<string, Float32Array>;
}

/** A model whose tensors are read one at a time. */
export interface TensorSource {
  readonly config: ModelConfig;
  /** Values of a parameter by Hugging Face name, row-major. */
  readF32(name: string): Promise<Float32Array> | Float32Array;
}

/** Anything with the weights of a model. */
export type WeightsOf = LlamaModel | ModelWeights | TensorSource;

/**
 * The tensors of a model, one at a time; of ternary layers (`toBitNet`) the full-precision ones they train. Reading
 * throws WeightsMismatchError for one that is missing.
 * @throws UnmergedAdapterError  FAILED_PRECONDITION: an adapter that is not merged
 */
export function tensorSource(model: WeightsOf): TensorSource {
  if ('readF32' in model) return model;
  const missing = (name: string): never => {
    throw new WeightsMismatchError('weights', [{ field: name, description: 'is missing' }]);
  };
  if (model instanceof LlamaModel) {
    const parameters = model.storedParameters();
    return {
      config: model.config,
      readF32: (name) => parameters.get(name)?.toFloat32Array() ?? missing(name),
    };
  }
  return { config: model.config, readF32: (name) => model.weights.get(name) ?? missing(name) };
}

/** `tensorSource`, but of ternary layers the weights that they compute with: for readers that have no such layers. */
export function computedSource(model: WeightsOf): TensorSource {
  const stored = tensorSource(model);
  if (!(model instanceof LlamaModel)) return stored;
  const ternary = new Map<string, BitLinear>();
  for (const [name, module] of model.namedModules()) {
    if (module instanceof BitLinear) ternary.set(`${name}.weight`, module);
  }
  return {
    config: stored.config,
    readF32: (name) => {
      const layer = ternary.get(name);
      return layer === undefined
        ? stored.readF32(name)
        : scope(() => layer.computedWeight().toFloat32Array());
    },
  };
}
