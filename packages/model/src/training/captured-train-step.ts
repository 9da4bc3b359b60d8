import {
  type AdamW,
  ArgumentError,
  autocast,
  backward,
  type CapturedStep,
  captureStep,
  clipScale,
  type Shape,
  scope,
  type Tensor,
} from '@agentforge/tensor';
import type { TokenBatch } from '../data/batch-cursor.js';
import type { LlamaModel } from '../llama/llama-model.js';
import { BatchShapeError, NonFiniteLossError } from '../llama/model.errors.js';
import type { TrainStepOptions, TrainStepResult } from './train-step.js';

/** What all steps of one captureTrainStep() have in common. */
export interface CapturedTrainStepOptions extends Omit<TrainStepOptions, 'lr'> {
  readonly batchSize: number;
  readonly length: number;
  /** Batches of one step (gradient accumulation). Default 1. */
  readonly microBatches?: number;
  /** Steps before the one that is recorded, see `captureStep`. Default 2. */
  readonly warmUpSteps?: number;
}

interface Outputs {
  readonly losses: readonly Tensor[];
  /** f64 [norm, scale]. */
  readonly clip: Tensor;
}

/** A training step on batches of one shape. */
export class CapturedTrainStep {
  private readonly optimizer: AdamW;
  private readonly options: CapturedTrainStepOptions;
  private readonly microBatches: number;
  private readonly step: CapturedStep<string, Outputs>;

  /** @internal captureTrainStep() */
  constructor(model: LlamaModel, optimizer: AdamW, options: CapturedTrainStepOptions) {
    const { batchSize, length, microBatches = 1, clipNorm = 1, precision = 'f32', warmUpSteps = 2 } = options;
    this.optimizer = optimizer;
    this.options = options;
    this.microBatches = microBatches;
    const shapes: Record<string, Shape> = {};
    for (let i = 0; i < microBatches; i++) {
      shapes[`inputs${i}`] = [batchSize, length];
      shapes[`targets${i}`] = [batchSize, length];
    }
    const parameters = model.parameters();
    const run = (tensors: Readonly<Record<string, Tensor>>): Outputs => {
      const losses = Array.from({ length: microBatches }, (_, i) =>
        scope(() =>
          autocast(precision, () => {
            const loss = model.loss(tensors[`inputs${i}`] as Tensor, tensors[`targets${i}`] as Tensor);
            backward(loss, { seed: 1 / microBatches });
            return loss;
          }),
        ),
      );
      options.beforeClip?.();
      const clip = clipScale(parameters, clipNorm, losses);
      optimizer.apply({ clip });
      optimizer.zeroGrad();
      return { losses, clip };
    };
    this.step = captureStep(shapes, run, { warmUpRuns: warmUpSteps });
  }

  /** Whether steps are replayed from now on. */
  get isCaptured(): boolean {
    return this.step.isCaptured;
  }

  /**
   * One optimizer step, as `trainStep` takes it: the host waits once, for the loss and the norm.
   * @param lr  learning rate of this step; default: the optimizer's
   * @throws BatchShapeError     INVALID_ARGUMENT: another number or shape of batches than was captured
   * @throws ArgumentError       INVALID_ARGUMENT: a token outside the vocabulary, with its position; nothing moved
   * @throws NonFiniteLossError  ABORTED: parameters and optimizer are unchanged
   */
  run(batches: TokenBatch | readonly TokenBatch[], { lr }: { readonly lr?: number } = {}): TrainStepResult {
    const { optimizer } = this;
    const microBatches: readonly TokenBatch[] = 'inputs' in batches ? [batches] : batches;
    this.expectShape(microBatches);
    optimizer.prepare(lr === undefined ? {} : { lr });
    const { losses, norm } = this.replay(microBatches);
    const loss = losses.reduce((sum, value) => sum + value * (1 / microBatches.length), 0);
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) throw new NonFiniteLossError(loss, norm);
    optimizer.commit();
    return {
      loss,
      gradNorm: norm,
      tokens: microBatches.reduce((sum, { targets }) => sum + targets.length, 0),
      bytes: microBatches.reduce((sum, batch) => sum + batch.bytes, 0),
    };
  }

  /** Frees what the step holds; model and optimizer stay. */
  close(): void {
    this.step.close();
  }

  private replay(batches: readonly TokenBatch[]): { losses: readonly number[]; norm: number } {
    const inputs = batches.flatMap(
      (batch, i) =>
        [
          [`inputs${i}`, batch.inputs],
          [`targets${i}`, batch.targets],
        ] as const,
    );
    try {
      const { losses, clip } = this.step.replay(Object.fromEntries(inputs));
      return { losses: losses.map((loss) => loss.item()), norm: clip.toTypedArray()[0] ?? Number.NaN };
    } catch (thrown) {
      this.optimizer.zeroGrad();
      throw thrown;
    }
  }

  private expectShape(batches: readonly TokenBatch[]): void {
    const { batchSize, length } = this.options;
    const fits = batches.every((batch) => batch.batchSize === batchSize && batch.length === length);
    if (fits && batches.length === this.microBatches) return;
    const got = batches.map((batch) => `[${batch.batchSize},${batch.length}]`).join(', ');
    throw new BatchShapeError(`${this.microBatches} of [${batchSize},${length}]`, got);
  }
}

/**
 * `trainStep` for batches of constant shape: the same weights after every step. A device that records work runs it from the
 * third step on as one launch; on the others, such as the processor, it runs call by call.
 *
 * `beforeClip` is called for the first steps and for the recording; what it does on the device is part of every replay.
 * @throws ArgumentError  INVALID_ARGUMENT: the model has recursion, whose steps look at what they predicted
 */
export function captureTrainStep(
  model: LlamaModel,
  optimizer: AdamW,
  options: CapturedTrainStepOptions,
): CapturedTrainStep {
  if (model.recursion !== null)
    throw new ArgumentError('captureTrainStep: a model with recursion is trained by trainStep');
  return new CapturedTrainStep(model, optimizer, options);
}
