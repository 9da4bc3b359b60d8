import {
  type BatchCursorState,
  type CapturedTrainStep,
  captureTrainStep,
  LlamaModel,
  MemoryDivergedError,
  type ModelConfig,
  MuonWithAdamW,
  type MuonWithAdamWState,
  NonFiniteLossError,
  type TokenBatch,
  trainStep,
} from '@agentforge/model';
import { AdamW, type AdamWState, backendInfo, decayGroups, Philox, warmupCosine } from '@agentforge/tensor';
import { TrainingDivergedError } from './cognate.errors.js';
import type { CognateConfig } from './cognate-config.js';
import type { RowSchedule } from './row-schedule.js';

/** Moments of the parameters, and momenta of those that Muon moves. */
export type OptimizerState = AdamWState & Partial<MuonWithAdamWState>;

/** Everything that training goes on from. */
export interface LearnerState {
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly optimizer: OptimizerState;
  readonly cursor: BatchCursorState;
}

/** A step that was recorded for batches of one shape. */
interface Recorded {
  readonly batchSize: number;
  readonly length: number;
  readonly step: CapturedTrainStep;
}

/** A model in training: weights, optimizer, position in its data. Frees its memory with `dispose`. */
export class Learner {
  private recorded: Recorded | undefined;

  private constructor(
    readonly model: LlamaModel,
    private readonly optimizer: AdamW | MuonWithAdamW,
    private readonly rows: RowSchedule,
    private readonly config: CognateConfig,
  ) {}

  /** A model before its first step: new, or with the weights of a base. */
  static begin(
    shape: ModelConfig,
    rows: RowSchedule,
    config: CognateConfig,
    from: Philox | LearnerState['weights'],
  ): Learner {
    const model =
      from instanceof Philox
        ? LlamaModel.init(shape, from.stream('initialisation'))
        : LlamaModel.fromState(shape, from);
    return new Learner(model, newOptimizer(model, config), rows, config);
  }

  /**
   * A model that goes on where another stood, with other data.
   * @param surpriseWeight  of its neural memories, where it has any: see `NeuralMemory.shiftSteps`
   */
  static fork(
    shape: ModelConfig,
    from: Pick<LearnerState, 'weights' | 'optimizer'>,
    rows: RowSchedule,
    config: CognateConfig,
    surpriseWeight: number,
  ): Learner {
    const learner = Learner.continue(shape, from, rows, config);
    for (const { memory } of learner.model.model.layers) memory?.neural.shiftSteps(surpriseWeight);
    return learner;
  }

  private static continue(
    shape: ModelConfig,
    from: Pick<LearnerState, 'weights' | 'optimizer'>,
    rows: RowSchedule,
    config: CognateConfig,
  ): Learner {
    const model = LlamaModel.fromState(shape, from.weights);
    const optimizer = newOptimizer(model, config);
    optimizer.importState(from.optimizer);
    return new Learner(model, optimizer, rows, config);
  }

  /** A model exactly as it was; `rows` are of the same data. */
  static restore(shape: ModelConfig, state: LearnerState, rows: RowSchedule, config: CognateConfig): Learner {
    rows.restore(state.cursor);
    return Learner.continue(shape, state, rows, config);
  }

  /**
   * One optimizer step.
   * @param step  counted over the whole schedule, from 0
   * @returns mean loss before the step, nats per token
   * @throws TrainingDivergedError  FAILED_PRECONDITION: loss, gradient or a neural memory is not finite
   */
  step(step: number): number {
    const { learning_rate, min_learning_rate, warmup_steps, steps, accumulation } = this.config;
    const schedule = warmupCosine({
      peak: learning_rate,
      floor: min_learning_rate,
      warmupSteps: warmup_steps,
      totalSteps: steps,
    });
    const batches = Array.from({ length: accumulation }, () => this.rows.next(step));
    try {
      return this.move(batches, schedule(step));
    } catch (error) {
      if (error instanceof NonFiniteLossError || error instanceof MemoryDivergedError)
        throw new TrainingDivergedError(step, error);
      throw error;
    }
  }

  /** Moves the weights by one step, to the same ones whether the device records it or not. @returns the loss before it */
  private move(batches: readonly TokenBatch[], lr: number): number {
    const { model, optimizer, config } = this;
    const { clip_norm: clipNorm, precision } = config;
    // Muon, recursion and neural memories look at numbers on the host in the middle of a step.
    const isPlain = optimizer instanceof AdamW && !model.config.recursion && !model.config.memory;
    const [first] = batches;
    if (!isPlain || first === undefined || !backendInfo().captures)
      return trainStep(model, optimizer, batches, { lr, clipNorm, precision }).loss;
    const { batchSize, length } = first;
    if (this.recorded?.batchSize !== batchSize || this.recorded.length !== length) {
      this.recorded?.step.close();
      const options = { batchSize, length, microBatches: batches.length, clipNorm, precision };
      this.recorded = { batchSize, length, step: captureTrainStep(model, optimizer, options) };
    }
    return this.recorded.step.run(batches, { lr }).loss;
  }

  /** Makes the halting probability pass the phase's threshold where it passed `threshold` before. */
  moveHaltThreshold(threshold: number): void {
    const { recursion } = this.model.config;
    if (recursion) this.model.recursion?.moveThreshold(threshold, recursion.haltThreshold);
  }

  /** A copy of the whole state. */
  state(): LearnerState {
    return {
      weights: this.model.exportWeights(),
      optimizer: this.optimizer.exportState(),
      cursor: this.rows.state(),
    };
  }

  /** Frees weights and moments. */
  dispose(): void {
    this.recorded?.step.close();
    this.optimizer.dispose();
    this.model.dispose();
  }
}

function newOptimizer(model: LlamaModel, config: CognateConfig): AdamW | MuonWithAdamW {
  const options = {
    lr: config.learning_rate,
    betas: [config.beta1, config.beta2] as const,
    weightDecay: config.weight_decay,
  };
  if (config.optimizer === 'adamw') return new AdamW(decayGroups(model, config.weight_decay), options);
  const muon = {
    lr: config.muon_learning_rate,
    momentum: config.muon_momentum,
    weightDecay: config.muon_weight_decay,
  };
  return new MuonWithAdamW(model, { ...options, muon });
}
