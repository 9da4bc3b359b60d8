import {
  add,
  concat,
  Linear,
  Module,
  matmul,
  mul,
  neg,
  normalInit,
  ones,
  type Philox,
  relu,
  sigmoid,
  type Tensor,
} from '@agentforge/tensor';

/**
 * Decides how much a thought counts: three layers 2d → d → d → 1 on the hidden states without and with it, and a sigmoid.
 * The last layer starts at zero, so that a model begins with weight ½ everywhere.
 * @see Zelikman et al. 2024, arXiv:2403.09629 §4.3
 */
export class MixingHead extends Module {
  readonly input: Linear;
  readonly hidden: Linear;
  readonly output: Linear;

  /** @param rng  not advanced; null for weights that are written next */
  constructor(width: number, rng: Philox | null) {
    super();
    // He et al. 2015, arXiv:1502.01852 eq. 10: variance 2 / inputs keeps the size of activations under ReLU.
    const layer = (name: string, from: number): Linear => {
      const init = rng === null ? {} : { init: normalInit(rng.stream(name), Math.sqrt(2 / from)) };
      return new Linear(from, width, { bias: true, ...init });
    };
    this.input = layer('input', 2 * width);
    this.hidden = layer('hidden', width);
    this.output = new Linear(width, 1, { bias: true });
  }

  /**
   * Weight of the prediction without the thought.
   * @param plain    [N, d], hidden states without a thought
   * @param thought  [N, d], those after it
   * @returns        [N, 1] in (0, 1); near 1 the thought is ignored
   */
  forward(plain: Tensor, thought: Tensor): Tensor {
    const first = relu(this.input.forward(concat([plain, thought], 1)));
    return sigmoid(this.output.forward(relu(this.hidden.forward(first))));
  }
}

/**
 * w · plain + (1 − w) · thought, row by row.
 *
 * The paper interpolates log-probabilities, which do not sum to one; its code mixes logits and normalises them. Both differ by
 * one number per row only, so softmax of what this returns is the paper's mixture, renormalised: probabilities again.
 * @param plain, thought  logits [N, V]
 * @param weight          [N, 1]; 1 gives `plain` to the bit, 0 gives `thought`
 * @returns               logits [N, V]
 * @see Zelikman et al. 2024, arXiv:2403.09629 eq. 1
 */
export function mixLogits(plain: Tensor, thought: Tensor, weight: Tensor): Tensor {
  const row = ones([1, plain.shape[1] as number]);
  const share = matmul(weight, row);
  return add(mul(share, plain), mul(add(neg(share), 1), thought));
}
