import { autocast, backward, clipGradNorm, type Precision, scope, tensor } from '@agentforge/tensor';
import type { TokenBatch } from '../data/batch-cursor.js';
import type { LlamaModel } from '../llama/llama-model.js';
import { NonFiniteLossError } from '../llama/model.errors.js';
import { superviseDeeply } from '../recursion/deep-supervision.js';
import type { Optimizer } from './muon-with-adamw.js';

/** Settings of one training step. */
export interface TrainStepOptions {
  /** Learning rate of this step. Default: the optimizer's. */
  readonly lr?: number;
  /** Largest allowed norm of all gradients together; larger ones are scaled down. Default 1; Infinity = no clipping. */
  readonly clipNorm?: number;
  /** Of dense products, forward and backward. Default f32. */
  readonly precision?: Precision;
  /** Called when gradients are complete, before clipping; may change them (filters). */
  readonly beforeClip?: () => void;
}

/** What one training step did. */
export interface TrainStepResult {
  /** Mean loss before the step, nats per token. */
  readonly loss: number;
  /** Norm of all gradients before clipping. */
  readonly gradNorm: number;
  /** Tokens predicted. */
  readonly tokens: number;
  /** UTF-8 bytes of those tokens. */
  readonly bytes: number;
}

/**
 * One optimizer step on the mean loss of one or more equally sized batches (gradient accumulation): forward,
 * backward, clip, update. Gradients are zero afterwards, and everything else it allocated is free.
 * @param batches  several batches are the micro-batches of one step
 * @throws NonFiniteLossError  ABORTED: parameters and optimizer are unchanged
 */
export function trainStep(
  model: LlamaModel,
  optimizer: Optimizer,
  batches: TokenBatch | readonly TokenBatch[],
  { lr, clipNorm = 1, precision = 'f32', beforeClip }: TrainStepOptions = {},
): TrainStepResult {
  const microBatches: readonly TokenBatch[] = 'inputs' in batches ? [batches] : batches;
  const parameters = model.parameters();
  let loss = 0;
  let tokens = 0;
  let bytes = 0;
  for (const batch of microBatches) {
    const weight = 1 / microBatches.length;
    loss +=
      weight *
      readable(optimizer, () => autocast(precision, () => accumulateGradients(model, batch, weight)));
    tokens += batch.targets.length;
    bytes += batch.bytes;
  }
  beforeClip?.();
  const { norm, scale } = clipGradNorm(parameters, clipNorm);
  if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
    optimizer.zeroGrad();
    throw new NonFiniteLossError(loss, norm);
  }
  optimizer.step({ gradScale: scale, ...(lr === undefined ? {} : { lr }) });
  optimizer.zeroGrad();
  return { loss, gradNorm: norm, tokens, bytes };
}

/** A device tells of a bad token only when its loss is read: the gradients of that step must not reach the next. */
function readable<T>(optimizer: Optimizer, fn: () => T): T {
  try {
    return fn();
  } catch (thrown) {
    optimizer.zeroGrad();
    throw thrown;
  }
}

/**
 * Adds `weight` times the gradient of a batch's mean loss to the parameters' gradients; returns the loss, with recursion that
 * of the last supervision step.
 */
function accumulateGradients(model: LlamaModel, batch: TokenBatch, weight: number): number {
  const shape = [batch.batchSize, batch.length] as const;
  if (model.recursion !== null) {
    const { lossNats } = superviseDeeply(model, batch.inputs, batch.targets, shape, weight);
    return lossNats.at(-1) ?? Number.NaN;
  }
  return scope(() => {
    const loss = model.loss(tensor(batch.inputs, shape), tensor(batch.targets, shape));
    backward(loss, { seed: weight });
    return loss.item();
  });
}
