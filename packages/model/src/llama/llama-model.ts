import {
  crossEntropy,
  Embedding,
  Linear,
  linear,
  Module,
  type Philox,
  RMSNorm,
  reshape,
  slice,
  type Tensor,
} from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';
import { parameterShapes } from '../config/parameter-shapes.js';
import { type InitializerOf, llamaInitializers, zeroInitializers } from './initialize.js';
import type { DecodingCache } from './kv-cache.js';
import { LlamaBlock } from './llama-block.js';
import { checkTokens, WeightsMismatchError } from './model.errors.js';

/** How `LlamaModel.forward` runs. */
export interface ForwardOptions {
  /** Keys and values of earlier tokens; the new tokens are appended to it. Inference only. */
  readonly cache?: DecodingCache;
  /** Logits of the last position only: [B, 1, V]. Default false. */
  readonly lastOnly?: boolean;
}

/** Embedding, blocks and final norm: everything before the output projection. */
class LlamaBackbone extends Module {
  readonly embed_tokens: Embedding;
  readonly layers: readonly LlamaBlock[];
  readonly norm: RMSNorm;

  constructor(config: ModelConfig, initializerOf: InitializerOf) {
    super();
    this.embed_tokens = new Embedding(config.vocabSize, config.hiddenSize, {
      init: initializerOf('model.embed_tokens.weight'),
    });
    this.layers = Array.from(
      { length: config.numLayers },
      (_, layer) => new LlamaBlock(config, layer, initializerOf),
    );
    this.norm = new RMSNorm(config.hiddenSize, config.rmsNormEps);
  }
}

/**
 * Decoder-only transformer: RMSNorm, rotary positions, grouped-query attention, SwiGLU. The same function as
 * `LlamaForCausalLM` of transformers, with the same parameter names; field names here are those names.
 * Logits agree with it to 1e-4 (f32).
 */
export class LlamaModel extends Module {
  readonly config: ModelConfig;
  readonly model: LlamaBackbone;
  /** Output projection [V, d]; null when it is the embedding. */
  readonly lm_head: Linear | null;

  /** Prefer `LlamaModel.init` or `LlamaModel.fromState`. */
  constructor(config: ModelConfig, initializerOf: InitializerOf) {
    super();
    this.config = config;
    this.model = new LlamaBackbone(config, initializerOf);
    this.lm_head = config.tieWordEmbeddings
      ? null
      : new Linear(config.hiddenSize, config.vocabSize, { init: initializerOf('lm_head.weight') });
  }

  /** A new model with random weights (see `llamaInitializers`). `rng` is not advanced. */
  static init(config: ModelConfig, rng: Philox): LlamaModel {
    return new LlamaModel(config, llamaInitializers(config, rng));
  }

  /**
   * A model with given weights, copied.
   * @param weights  by Hugging Face name, row-major
   * @throws WeightsMismatchError  INVALID_ARGUMENT: every missing, unexpected or wrongly sized tensor
   */
  static fromState(config: ModelConfig, weights: ReadonlyMap<string, Float32Array>): LlamaModel {
    const violations = [];
    const shapes = parameterShapes(config);
    for (const [field, shape] of shapes) {
      const data = weights.get(field);
      const wanted = shape.reduce((product, size) => product * size, 1);
      if (data === undefined) violations.push({ field, description: 'is missing' });
      else if (data.length !== wanted) {
        violations.push({
          field,
          description: `has ${data.length} values, shape [${shape}] needs ${wanted}`,
        });
      }
    }
    for (const field of weights.keys()) {
      if (!shapes.has(field)) violations.push({ field, description: 'is not a parameter of this model' });
    }
    if (violations.length > 0) throw new WeightsMismatchError('weights', violations);
    const model = new LlamaModel(config, zeroInitializers);
    for (const [name, parameter] of model.namedParameters()) {
      const data = weights.get(name);
      if (data !== undefined) parameter.write(data);
    }
    return model;
  }

  /**
   * Next-token logits.
   * @param tokens  i32 [B, T]; every id below vocabSize
   * @returns       f32 [B, T, V], or [B, 1, V] with `lastOnly`; row t depends on tokens 0 … t only
   * @throws SequenceTooLongError  INVALID_ARGUMENT: more positions than contextLength or the cache hold
   */
  forward(tokens: Tensor, { cache, lastOnly = false }: ForwardOptions = {}): Tensor {
    const length = checkTokens(tokens, cache?.capacity ?? this.config.contextLength, cache?.length ?? 0);
    let x = this.model.embed_tokens.forward(tokens);
    this.model.layers.forEach((block, layer) => {
      x = block.forward(x, cache?.layer(layer));
    });
    cache?.advance(length);
    if (lastOnly) x = slice(x, 1, length - 1, length);
    x = this.model.norm.forward(x);
    return this.lm_head === null ? linear(x, this.model.embed_tokens.weight) : this.lm_head.forward(x);
  }

  /**
   * Mean cross-entropy of predicting `targets`.
   * @param inputs   i32 [B, T]
   * @param targets  i32 [B, T], the token after each input; -100 is left out of the mean
   * @returns        [1], nats per token
   */
  loss(inputs: Tensor, targets: Tensor): Tensor {
    const logits = this.forward(inputs);
    return crossEntropy(reshape(logits, [-1, this.config.vocabSize]), reshape(targets, [-1]));
  }

  /** Copies of all weights by name, in file order. */
  exportWeights(): Map<string, Float32Array> {
    const parameters = this.namedParameters();
    const weights = new Map<string, Float32Array>();
    for (const name of parameterShapes(this.config).keys()) {
      const parameter = parameters.get(name);
      if (parameter !== undefined) weights.set(name, parameter.toFloat32Array());
    }
    return weights;
  }

  /** A second model with equal weights. */
  clone(): LlamaModel {
    return LlamaModel.fromState(this.config, this.exportWeights());
  }
}
