import {
  countParameters,
  type Evaluation,
  evaluate,
  LlamaModel,
  type ModelConfig,
  type TokenStream,
} from '@agentforge/model';
import type { PhaseContext } from '@agentforge/phase-runtime/worker';
import type { EvomergeConfig } from './domain/evomerge-config.js';
import type { Measured } from './domain/fitness.js';
import { forwardFlopPerToken } from './domain/flop.js';
import { layersOf, type Weights } from './domain/layout.js';

/** Measures candidates. One model is in the compute core at a time. */
export class CandidateMeter {
  constructor(
    private readonly shape: ModelConfig,
    private readonly context: PhaseContext<EvomergeConfig>,
  ) {}

  /** What fitness is made of, on the first `fitness_tokens` of a stream. */
  measure(weights: Weights, stream: TokenStream): Measured {
    const { lossNats } = this.evaluate(weights, stream, this.context.config.fitness_tokens);
    const config = this.shapeOf(weights);
    return {
      lossNats,
      flopPerToken: forwardFlopPerToken(config, this.context.config.sequence_length),
      parameters: countParameters(config).total,
    };
  }

  /** Loss on a whole stream, or its first tokens. */
  evaluate(weights: Weights, stream: TokenStream, maxTokens = stream.tokens.length): Evaluation {
    const { sequence_length: length, batch_size: batchSize } = this.context.config;
    const model = LlamaModel.fromState(this.shapeOf(weights), weights);
    try {
      const checkCancelled = () => this.context.throwIfAborted();
      return evaluate(model, stream, { length, batchSize, maxTokens, checkCancelled });
    } finally {
      model.dispose();
    }
  }

  /** Configuration of a model with these weights: that of the parents, but for the number of layers. */
  shapeOf(weights: Weights): ModelConfig {
    return { ...this.shape, numLayers: layersOf(weights) };
  }
}
