import {
  ArgumentError,
  crossEntropy,
  Embedding,
  Linear,
  LoraLinear,
  linear,
  Module,
  mulScalar,
  type Philox,
  RMSNorm,
  reshape,
  scope,
  slice,
  type Tensor,
} from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';
import { parameterShapes } from '../config/parameter-shapes.js';
import { HaltingHead, HaltingRecord, type Ponder } from '../recursion/halting.js';
import { type Reasoning, superviseOnce } from '../recursion/recursive-reasoner.js';
import { type InitializerOf, llamaInitializers, zeroInitializers } from './initialize.js';
import type { DecodingCache } from './kv-cache.js';
import { LlamaBlock } from './llama-block.js';
import { checkTokens, UnmergedAdapterError, WeightsMismatchError } from './model.errors.js';

/** How `LlamaModel.forward` runs. */
export interface ForwardOptions {
  /** Keys and values of earlier tokens; the new tokens are appended to it. Inference only. */
  readonly cache?: DecodingCache;
  /** Logits of the last position only: [B, 1, V]. Default false. */
  readonly lastOnly?: boolean;
  /** Most supervision steps of a model with recursion, up to its own number, which is the default. Not with a cache. */
  readonly steps?: number;
  /** Called with when the positions of a model with recursion halted. */
  readonly onPonder?: (ponder: Ponder) => void;
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
  /** Halting head; null when the blocks run once. */
  readonly recursion: HaltingHead | null;

  /** Prefer `LlamaModel.init` or `LlamaModel.fromState`. */
  constructor(config: ModelConfig, initializerOf: InitializerOf) {
    super();
    this.config = config;
    this.model = new LlamaBackbone(config, initializerOf);
    this.lm_head = config.tieWordEmbeddings
      ? null
      : new Linear(config.hiddenSize, config.vocabSize, { init: initializerOf('lm_head.weight') });
    this.recursion = config.recursion ? new HaltingHead(config.hiddenSize) : null;
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
   *               A model with recursion gives, at each position, those of the step at which it halted
   * @throws SequenceTooLongError  INVALID_ARGUMENT: more positions than contextLength or the cache hold
   * @throws ArgumentError         INVALID_ARGUMENT: `steps` out of range, or with a cache or without recursion
   */
  forward(tokens: Tensor, options: ForwardOptions = {}): Tensor {
    const { cache, lastOnly = false } = options;
    const length = checkTokens(tokens, cache?.capacity ?? this.config.contextLength, cache?.length ?? 0);
    this.checkSteps(options);
    if (this.recursion !== null) {
      const answer = this.halting(this.recursion, tokens, options);
      cache?.advance(length);
      return this.predict(answer);
    }
    let x = this.blocks(this.model.embed_tokens.forward(tokens), cache);
    cache?.advance(length);
    if (lastOnly) x = slice(x, 1, length - 1, length);
    return this.predict(this.model.norm.forward(x));
  }

  /** All blocks, one after the other. @param call  runs of the blocks before this one, in this forward pass */
  private blocks(x: Tensor, cache: DecodingCache | undefined, call = 0): Tensor {
    const { layers } = this.model;
    return layers.reduce((h, block, i) => block.forward(h, cache?.layer(call * layers.length + i)), x);
  }

  /** Logits [..., V] of normalised states [..., d]. */
  predict(x: Tensor): Tensor {
    return this.lm_head === null ? linear(x, this.model.embed_tokens.weight) : this.lm_head.forward(x);
  }

  /**
   * One supervision step of a model with recursion. The net is all blocks and the final norm, so that states have the
   * same size however often it runs; tokens are their embeddings times √d, which is about the same size.
   * @param before  where the step before ended; null for the first
   * @param step    its number, from 0
   * @throws ArgumentError  INVALID_ARGUMENT: the model has no recursion
   */
  reason(tokens: Tensor, before: Reasoning | null, step: number, cache?: DecodingCache): Reasoning {
    const { recursion, hiddenSize } = this.config;
    if (recursion === undefined) throw new ArgumentError('the model has no recursion');
    const x = mulScalar(this.model.embed_tokens.forward(tokens), Math.sqrt(hiddenSize));
    const net = (h: Tensor, call: number): Tensor =>
      scope(() => this.model.norm.forward(this.blocks(h, cache, call)));
    const firstCall = step * recursion.cycles * (recursion.latentSteps + 1);
    return superviseOnce(net, x, before, recursion, firstCall);
  }

  /**
   * Answers [B, T, d] (or [B, 1, d] with `lastOnly`), each of the step at which its position halted. Without a cache, no step is
   * taken after all have halted; with one, all are, since later tokens may need them.
   */
  private halting(head: HaltingHead, tokens: Tensor, options: ForwardOptions): Tensor {
    const { cache, lastOnly = false, onPonder } = options;
    const { supervisionSteps = 1, haltThreshold = 0.5 } = this.config.recursion ?? {};
    const { steps = supervisionSteps } = options;
    const [batch = 1, length = 1] = tokens.shape;
    const record = new HaltingRecord(lastOnly ? batch : tokens.size, haltThreshold);
    let state: Reasoning | null = null;
    for (let step = 0; step < steps && !(record.isComplete && !cache); step++) {
      const before: Reasoning | null = state;
      state = scope(() => this.reason(tokens, before, step, cache));
      const { answer } = state;
      const wanted = lastOnly ? slice(answer, 1, length - 1, length) : answer;
      record.push(wanted, head.forward(wanted).toFloat32Array());
    }
    onPonder?.(record.ponder());
    return record.answer();
  }

  private checkSteps({ steps, cache }: ForwardOptions): void {
    if (steps === undefined) return;
    const most = this.config.recursion?.supervisionSteps ?? 0;
    if (!Number.isInteger(steps) || steps < 1 || steps > most || cache) {
      const where = cache ? 'with a cache' : `of a model with ${most} supervision steps`;
      throw new ArgumentError(`forward: steps is ${steps} ${where}`);
    }
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

  /**
   * The parameters that files hold, by name, in file order: the tensors themselves. Those of an adapter are not among
   * them, so that a model with one that counts would be written as it was before.
   * @throws UnmergedAdapterError  FAILED_PRECONDITION: an adapter that is neither merged nor off (`withoutAdapter`)
   */
  storedParameters(): Map<string, Tensor> {
    const isUnmerged = (module: Module) =>
      module instanceof LoraLinear && module.isEnabled && !module.isMerged;
    const unmerged = [...this.namedModules()].filter(([, module]) => isUnmerged(module));
    if (unmerged.length > 0) throw new UnmergedAdapterError(unmerged.map(([name]) => name));
    const parameters = this.namedParameters();
    const stored = new Map<string, Tensor>();
    for (const name of parameterShapes(this.config).keys()) {
      const parameter = parameters.get(name);
      if (parameter !== undefined) stored.set(name, parameter);
    }
    return stored;
  }

  /**
   * Copies of all weights by name, in file order; of ternary layers (`toBitNet`) the full-precision ones they train.
   * The weights below an adapter: `adapter.withoutAdapter(() => model.exportWeights())`.
   * @throws UnmergedAdapterError  FAILED_PRECONDITION: as `storedParameters`
   */
  exportWeights(): Map<string, Float32Array> {
    return new Map([...this.storedParameters()].map(([name, x]) => [name, x.toFloat32Array()]));
  }

  /**
   * A second model with equal weights that takes fewer supervision steps for every token, and keeps less in its caches. Each step
   * was trained to answer, so an earlier one does too.
   * @param steps  1 to the supervision steps of this model
   * @throws ArgumentError         INVALID_ARGUMENT: out of range, or a model without recursion
   * @throws UnmergedAdapterError  FAILED_PRECONDITION: as `exportWeights`
   */
  reasoningFor(steps: number): LlamaModel {
    this.checkSteps({ steps });
    const { recursion, ...config } = this.config;
    const shorter = recursion && { recursion: { ...recursion, supervisionSteps: steps } };
    return LlamaModel.fromState({ ...config, ...shorter }, this.exportWeights());
  }

  /**
   * A second model with equal weights, of plain layers: ternary ones are made from it with `toBitNet`, as they were here.
   * @throws UnmergedAdapterError  FAILED_PRECONDITION: as `exportWeights`
   */
  clone(): LlamaModel {
    return LlamaModel.fromState(this.config, this.exportWeights());
  }
}
