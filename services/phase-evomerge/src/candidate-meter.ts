import {
  countParameters,
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  evaluateTasks,
  LlamaModel,
  MemoryDivergedError,
  type ModelConfig,
  NonFiniteLogitsError,
  type TokenStream,
} from '@agentforge/model';
import type { SubtaskContext } from '@agentforge/phase-runtime/worker';
import { estimatedLoss, HopelessSignal, PrefixWatch, type Reference } from './domain/early-stop.js';
import type { EvomergeConfig } from './domain/evomerge-config.js';
import type { Measured } from './domain/fitness.js';
import { forwardFlopPerToken } from './domain/flop.js';
import { layersOf, type Weights } from './domain/layout.js';
import type { MergeInputs } from './merge-inputs.js';

/** What a candidate is measured for. */
export interface MeasureOptions {
  readonly reference?: Reference | undefined;
  readonly notesPrefixes?: boolean;
}

/** Of a model that gives no numbers. */
const NO_EVALUATION: Evaluation = {
  ...{ lossNats: Number.NaN, perplexity: Number.NaN, bitsPerByte: Number.NaN },
  ...{ tokens: 0, bytes: 0, seconds: 0, tokensPerSecond: 0, ponder: null },
};

/** Measures candidates. One model is in the compute core at a time. */
export class CandidateMeter {
  constructor(
    private readonly inputs: Pick<MergeInputs, 'config' | 'tokenizer' | 'tasks'>,
    private readonly context: Pick<SubtaskContext<EvomergeConfig>, 'config' | 'throwIfAborted'>,
  ) {}

  /**
   * What fitness is made of, on the tasks and on the first `fitness_tokens` of a stream.
   * @param reference      what a hopeless candidate is told by; absent: none is stopped
   * @param notesPrefixes  whether the losses on the first tokens are wanted too: those of a parent
   */
  async measure(
    weights: Weights,
    stream: TokenStream,
    { reference, notesPrefixes }: MeasureOptions = {},
  ): Promise<Measured> {
    const { fitness_tokens, sequence_length, early_stop_margin } = this.context.config;
    const config = this.shapeOf(weights);
    const flopPerToken = forwardFlopPerToken(config, sequence_length);
    const parameters = countParameters(config).total;
    const taskAccuracy = await this.taskAccuracy(weights);
    const costs = { flopPerToken, parameters, ...(taskAccuracy === undefined ? {} : { taskAccuracy }) };
    // One that is smaller or faster, or solves more, may be worth its loss.
    const isHopeful =
      reference &&
      (flopPerToken < reference.flopPerToken ||
        parameters < reference.parameters ||
        (taskAccuracy ?? 0) > (reference.taskAccuracy ?? 0));
    const total = Math.min(stream.tokens.length, fitness_tokens) - 1;
    const watch = new PrefixWatch(total, isHopeful ? undefined : reference, early_stop_margin);
    try {
      const { lossNats } = this.evaluate(weights, stream, fitness_tokens, (soFar) => watch.see(soFar));
      const { prefixes } = watch;
      return { lossNats, ...costs, ...(notesPrefixes ? { prefixes } : {}) };
    } catch (error) {
      if (!(error instanceof HopelessSignal) || !reference) throw error;
      const stoppedEarly = error.seen;
      return { lossNats: estimatedLoss(stoppedEarly, reference), ...costs, stoppedEarly };
    }
  }

  /** Loss on a whole stream, or its first tokens; NaN when the memories of the model diverge, as that of a broken llama is. */
  evaluate(
    weights: Weights,
    stream: TokenStream,
    maxTokens = stream.tokens.length,
    onBatch?: EvaluateOptions['onBatch'],
  ): Evaluation {
    const { sequence_length: length, batch_size: batchSize } = this.context.config;
    const model = LlamaModel.fromState(this.shapeOf(weights), weights);
    try {
      const checkCancelled = () => this.context.throwIfAborted();
      return evaluate(model, stream, {
        length,
        batchSize,
        maxTokens,
        checkCancelled,
        ...(onBatch ? { onBatch } : {}),
      });
    } catch (error) {
      if (error instanceof MemoryDivergedError) return NO_EVALUATION;
      throw error;
    } finally {
      model.dispose();
    }
  }

  /** Share of the tasks that are solved: none by a model whose predictions are no numbers. Undefined without tasks. */
  async taskAccuracy(weights: Weights): Promise<number | undefined> {
    const { tasks, tokenizer } = this.inputs;
    if (!tasks) return undefined;
    const model = LlamaModel.fromState(this.shapeOf(weights), weights);
    try {
      const { results } = await evaluateTasks(model, tokenizer, tasks, {
        batchSize: this.context.config.batch_size,
        checkCancelled: () => this.context.throwIfAborted(),
      });
      const solved = results.filter(
        ({ isCorrect, logLikelihoods = [] }) => isCorrect && !logLikelihoods.some(Number.isNaN),
      );
      return solved.length / tasks.length;
    } catch (error) {
      if (error instanceof NonFiniteLogitsError || error instanceof MemoryDivergedError) return 0;
      throw error;
    } finally {
      model.dispose();
    }
  }

  /** Configuration of a model with these weights: that of the parents, but for the number of layers. */
  shapeOf(weights: Weights): ModelConfig {
    return { ...this.inputs.config, numLayers: layersOf(weights) };
  }
}
