import { type AdamW, backward, clipGradNorm, type Philox, scope } from '@agentforge/tensor';
import type { TokenBatch } from '../data/batch-cursor.js';
import { NonFiniteLossError } from '../llama/model.errors.js';
import { sampleThoughts } from './sample-thoughts.js';
import type { ThinkingModel } from './thinking-model.js';
import { type ThoughtLossOptions, thoughtLoss } from './thought-loss.js';

/** Settings of one step of learning to think. */
export interface ThinkStepOptions extends ThoughtLossOptions {
  /** `pause` trains the control: n pause marks in place of each thought, and nothing to reinforce. */
  readonly kind: 'thoughts' | 'pause';
  readonly lr: number;
  /** Largest norm of all gradients together. */
  readonly clipNorm: number;
  /** Sequences that are thought about at once; changes memory and speed, and the order of sums. */
  readonly microBatch: number;
  /** Not advanced; one per step. */
  readonly rng: Philox;
}

/** What one step did; means over the batch. */
export interface ThinkStepResult {
  readonly talkNats: number;
  readonly plainNats: number;
  readonly plainShare: number;
  readonly rewardNats: number;
  /** Norm of all gradients before clipping. */
  readonly gradNorm: number;
}

/**
 * One optimizer step: draw thoughts after every token, predict with them, reinforce those that helped.
 * @throws NonFiniteLossError  ABORTED: parameters and optimizer are unchanged
 */
export function thinkStep(
  model: ThinkingModel,
  optimizer: AdamW,
  batch: TokenBatch,
  options: ThinkStepOptions,
): ThinkStepResult {
  const { microBatch, clipNorm, lr } = options;
  const means = { talkNats: 0, plainNats: 0, plainShare: 0, rewardNats: 0 };
  for (let first = 0; first < batch.batchSize; first += microBatch) {
    const end = Math.min(first + microBatch, batch.batchSize);
    const share = (end - first) / batch.batchSize;
    const facts = accumulate(model, batch, first, end, share, options);
    for (const name of ['talkNats', 'plainNats', 'plainShare', 'rewardNats'] as const) {
      means[name] += share * facts[name];
    }
  }
  const { norm, scale } = clipGradNorm(model.parameters(), clipNorm);
  const loss = means.talkNats + means.plainNats;
  if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
    optimizer.zeroGrad();
    throw new NonFiniteLossError(loss, norm);
  }
  optimizer.step({ gradScale: scale, lr });
  optimizer.zeroGrad();
  return { ...means, gradNorm: norm };
}

/** Adds `share` times the gradient of some sequences of a batch. */
function accumulate(
  model: ThinkingModel,
  { inputs, targets, length }: TokenBatch,
  first: number,
  end: number,
  share: number,
  options: ThinkStepOptions,
) {
  const part = (ids: Int32Array): Int32Array => ids.subarray(first * length, end * length);
  const thoughts = options.kind === 'pause' ? null : draw(model, part(inputs), length, first, options);
  return scope(() => {
    const { loss, ...facts } = thoughtLoss(model, part(inputs), part(targets), length, thoughts, options);
    backward(loss, { seed: share });
    return facts;
  });
}

function draw(
  model: ThinkingModel,
  inputs: Int32Array,
  length: number,
  first: number,
  { thoughts, thoughtLength, temperature, rng }: ThinkStepOptions,
): Int32Array {
  const tokens = new Int32Array(thoughts * inputs.length);
  for (let copy = 0; copy < thoughts; copy++) tokens.set(inputs, copy * inputs.length);
  return sampleThoughts(model, tokens, {
    rows: tokens.length / length,
    thoughtLength,
    temperature,
    rng: rng.stream(`row ${first}`),
  });
}
