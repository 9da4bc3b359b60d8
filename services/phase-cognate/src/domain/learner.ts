import {
  type BatchCursor,
  type BatchCursorState,
  LlamaModel,
  type ModelConfig,
  NonFiniteLossError,
  trainStep,
} from '@agentforge/model';
import { AdamW, type AdamWState, decayGroups, type Philox, warmupCosine } from '@agentforge/tensor';
import { TrainingDivergedError } from './cognate.errors.js';
import type { CognateConfig } from './cognate-config.js';

/** Everything that training goes on from. */
export interface LearnerState {
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly optimizer: AdamWState;
  readonly cursor: BatchCursorState;
}

/** A model in training: weights, optimizer, position in its data. Frees its memory with `dispose`. */
export class Learner {
  private constructor(
    readonly model: LlamaModel,
    private readonly optimizer: AdamW,
    private readonly cursor: BatchCursor,
    private readonly config: CognateConfig,
  ) {}

  /** A model that has learnt nothing. */
  static begin(shape: ModelConfig, cursor: BatchCursor, config: CognateConfig, rng: Philox): Learner {
    const model = LlamaModel.init(shape, rng.stream('initialisation'));
    return new Learner(model, newOptimizer(model, config), cursor, config);
  }

  /**
   * A model that goes on where another stood, with other data.
   * @param surpriseWeight  of its neural memories, where it has any: see `NeuralMemory.shiftSteps`
   */
  static fork(
    shape: ModelConfig,
    from: Pick<LearnerState, 'weights' | 'optimizer'>,
    cursor: BatchCursor,
    config: CognateConfig,
    surpriseWeight: number,
  ): Learner {
    const learner = Learner.continue(shape, from, cursor, config);
    for (const { memory } of learner.model.model.layers) memory?.neural.shiftSteps(surpriseWeight);
    return learner;
  }

  private static continue(
    shape: ModelConfig,
    from: Pick<LearnerState, 'weights' | 'optimizer'>,
    cursor: BatchCursor,
    config: CognateConfig,
  ): Learner {
    const model = LlamaModel.fromState(shape, from.weights);
    const optimizer = newOptimizer(model, config);
    optimizer.importState(from.optimizer);
    return new Learner(model, optimizer, cursor, config);
  }

  /** A model exactly as it was; `cursor` is over the same data. */
  static restore(
    shape: ModelConfig,
    state: LearnerState,
    cursor: BatchCursor,
    config: CognateConfig,
  ): Learner {
    cursor.restore(state.cursor);
    return Learner.continue(shape, state, cursor, config);
  }

  /**
   * One optimizer step.
   * @param step  counted over the whole schedule, from 0
   * @returns mean loss before the step, nats per token
   * @throws TrainingDivergedError  FAILED_PRECONDITION: loss or gradient is not finite
   */
  step(step: number): number {
    const { learning_rate, min_learning_rate, warmup_steps, steps, accumulation } = this.config;
    const { clip_norm: clipNorm, precision } = this.config;
    const schedule = warmupCosine({
      peak: learning_rate,
      floor: min_learning_rate,
      warmupSteps: warmup_steps,
      totalSteps: steps,
    });
    const batches = Array.from({ length: accumulation }, () => this.cursor.next());
    try {
      return trainStep(this.model, this.optimizer, batches, { lr: schedule(step), clipNorm, precision }).loss;
    } catch (error) {
      if (error instanceof NonFiniteLossError) throw new TrainingDivergedError(step, error);
      throw error;
    }
  }

  /** A copy of the whole state. */
  state(): LearnerState {
    return {
      weights: this.model.exportWeights(),
      optimizer: this.optimizer.exportState(),
      cursor: this.cursor.state(),
    };
  }

  /** Frees weights and moments. */
  dispose(): void {
    this.optimizer.dispose();
    this.model.dispose();
  }
}

function newOptimizer(model: LlamaModel, config: CognateConfig): AdamW {
  return new AdamW(decayGroups(model, config.weight_decay), {
    lr: config.learning_rate,
    betas: [config.beta1, config.beta2],
    weightDecay: config.weight_decay,
  });
}
