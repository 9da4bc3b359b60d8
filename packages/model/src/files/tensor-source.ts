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

/** The tensors of a model, one at a time. Reading throws WeightsMismatchError for one that is missing. */
export function tensorSource(model: WeightsOf): TensorSource {
  if ('readF32' in model) return model;
  const missing = (name: string): never => {
    throw new WeightsMismatchError('weights', [{ field: name, description: 'is missing' }]);
  };
  if (model instanceof LlamaModel) {
    const parameters = model.namedParameters();
    return {
      config: model.config,
      readF32: (name) => parameters.get(name)?.toFloat32Array() ?? missing(name),
    };
  }
  return { config: model.config, readF32: (name) => model.weights.get(name) ?? missing(name) };
}
