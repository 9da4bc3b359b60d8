import { add, mul, mulScalar, sum, type Tensor, tensor } from '@agentforge/tensor';
import { positivePart, rewardsOf } from './reinforce.js';
import { natsOf, type ThinkingModel, talkTargets } from './thinking-model.js';
import type { ThoughtLayout } from './thought-layout.js';

/** What is learnt from a batch of thoughts, and how much each part counts. */
export interface ThoughtLossOptions {
  /** Thoughts per token, J. Pauses are all alike: there is one. */
  readonly thoughts: number;
  /** Tokens of a thought, n ≥ 1. */
  readonly thoughtLength: number;
  /** True tokens that a thought is judged by, ≥ 1. */
  readonly ahead: number;
  /** The thoughts were drawn at, > 0. */
  readonly temperature: number;
  /** Factor of the loss without thoughts, which keeps the model useful where nobody thinks. */
  readonly plainWeight: number;
  /** Factor of REINFORCE. */
  readonly policyWeight: number;
  /** `positive` learns from rewards above 0 only; `signed` from all, which is unbiased. Default `positive`. */
  readonly reward?: 'positive' | 'signed';
}

/** A loss with a graph, and what it is made of. */
export interface ThoughtLoss {
  readonly loss: Tensor;
  /** Mean negative log-likelihood of the mixed predictions, nats per token. */
  readonly talkNats: number;
  /** That of the predictions without thoughts. */
  readonly plainNats: number;
  /** Mean weight of the plain predictions, 0 to 1. */
  readonly plainShare: number;
  /** Mean size of the rewards, nats; 0 for pauses. */
  readonly rewardNats: number;
}

/**
 * Negative log-likelihood of the mixture over the next `ahead` tokens, plus REINFORCE on the thoughts:
 *
 *     mean(−log p_talk) + plainWeight · mean(−log p_plain) − policyWeight · mean over places and thoughts of r · log p(thought)
 *
 * with r the rewards of `rewardsOf`, their positive part by default, as constants.
 * @param inputs    ids [S, T]
 * @param targets   ids [S, T], the token after each input
 * @param thoughts  ids [J · S, n, T]: row j · S + s is thought j of sequence s; null for pauses
 * @see Zelikman et al. 2024, arXiv:2403.09629 §4.4
 */
export function thoughtLoss(
  model: ThinkingModel,
  inputs: Int32Array,
  targets: Int32Array,
  length: number,
  thoughts: Int32Array | null,
  options: ThoughtLossOptions,
): ThoughtLoss {
  const count = thoughts === null ? 1 : options.thoughts;
  const { thoughtLength, ahead, plainWeight, policyWeight, temperature } = options;
  const rows = (count * inputs.length) / length;
  const layout: ThoughtLayout = { rows, length, thoughtLength, ahead };
  const [tokens, next] = [repeated(inputs, count), repeated(targets, count)];
  const { plain, mixed, weight, policy } = model.talk(tokens, thoughts, layout);
  const answers = talkTargets(next, layout);
  const predicted = answers.reduce((total, id) => total + (id === -100 ? 0 : 1), 0);
  const talkNats = natsOf(mixed, answers);
  const plainNats = natsOf(plain, next);
  const shares = weight.toFloat32Array();
  const parts = [
    mulScalar(sum(talkNats), 1 / predicted),
    mulScalar(sum(plainNats), plainWeight / next.length),
  ];
  const facts = {
    talkNats: total(talkNats.toFloat32Array()) / predicted,
    plainNats: total(plainNats.toFloat32Array()) / next.length,
    plainShare: total(shares) / shares.length,
    rewardNats: 0,
  };
  if (policy !== null && thoughts !== null) {
    const rewards = rewardsOf(logProbsOf(talkNats.toFloat32Array(), layout), count);
    facts.rewardNats = total(rewards.map(Math.abs)) / rewards.length;
    const used = options.reward === 'signed' ? rewards : positivePart(rewards);
    const thoughtNats = natsOf(temperature === 1 ? policy : mulScalar(policy, 1 / temperature), thoughts);
    const factors = placed(used, layout, policyWeight / used.length);
    parts.push(sum(mul(thoughtNats, tensor(factors))));
  }
  return { loss: parts.reduce((a, b) => add(a, b)), ...facts };
}

/** Log-probability of all true tokens after each thought, nats [R, T], from the losses [R, ahead, T]. */
function logProbsOf(nats: Float32Array, { rows, length, ahead }: ThoughtLayout): Float64Array {
  const logProbs = new Float64Array(rows * length);
  nats.forEach((value, at) => {
    const place = Math.floor(at / (ahead * length)) * length + (at % length);
    logProbs[place] = (logProbs[place] as number) - value;
  });
  return logProbs;
}

/** A factor per place [R, T], scaled, for each token of the thought there [R, n, T]. */
function placed(
  factors: Float64Array,
  { rows, length, thoughtLength }: ThoughtLayout,
  scale: number,
): Float32Array {
  return Float32Array.from({ length: rows * thoughtLength * length }, (_, at) => {
    const row = Math.floor(at / (thoughtLength * length));
    return scale * (factors[row * length + (at % length)] as number);
  });
}

function repeated(ids: Int32Array, count: number): Int32Array {
  const all = new Int32Array(count * ids.length);
  for (let copy = 0; copy < count; copy++) all.set(ids, copy * ids.length);
  return all;
}

function total(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
