import { isGradEnabled, noGrad } from '../autograd/record.js';
import { ArgumentError } from '../errors.js';
import { add, mulScalar } from '../ops/arithmetic.js';
import { dropout } from '../ops/dropout.js';
import { matmul } from '../ops/matmul.js';
import { Philox, type PhiloxState } from '../random/philox.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { type Initializer, zerosInit } from './initializers.js';
import { Linear } from './layers.js';

/** How a LoraLinear layer is made. */
export interface LoraLinearOptions {
  /** Rows of A and columns of B. */
  readonly rank: number;
  /** The product counts alpha / rank times. */
  readonly alpha: number;
  /** First values of A[rank, I]. Default zeros, for weights that are loaded next. B begins with zeros: no change. */
  readonly initA?: Initializer;
  /** Zeroes elements of the input of A, of that alone, while a graph is recorded. Default: none. */
  readonly dropout?: LoraDropout;
}

/** Dropout before A, as PEFT has it. */
export interface LoraDropout {
  /** Share of elements that become zero, in [0, 1); the others are divided by 1 − probability. */
  readonly probability: number;
  /** Draws the masks; advances with every one. */
  readonly stream: Philox;
}

/**
 * A linear layer with a trained difference of low rank: y = x Wᵀ + (alpha / rank) · (x Aᵀ) Bᵀ. The weight W of the
 * layer it replaces is shared, not copied, and stays as it is; freeze it to train A and B only. In training, the x that A
 * reads may lose elements to dropout; without a graph, and merged, it never does.
 * @see Hu et al. 2021, arXiv:2106.09685 §4.1
 */
export class LoraLinear extends Linear {
  readonly lora_A: Linear;
  readonly lora_B: Linear;
  /** Factor of the difference, alpha / rank. */
  readonly scaling: number;
  /** Whether the difference counts. */
  isEnabled = true;
  private dropout: LoraDropout | null;
  /** The weight before `merge`, to the bit. */
  private original: Float32Array | null = null;

  constructor(base: Linear, { rank, alpha, initA = zerosInit, dropout: drop }: LoraLinearOptions) {
    const [outFeatures = 1, inFeatures = 1] = base.weight.shape;
    super(inFeatures, outFeatures, { init: () => base.weight, bias: base.bias ?? false });
    this.lora_A = new Linear(inFeatures, rank, { init: initA });
    this.lora_B = new Linear(rank, outFeatures);
    this.scaling = alpha / rank;
    this.dropout = drop !== undefined && drop.probability > 0 ? drop : null;
  }

  /** Whether the difference is part of the weight. */
  get isMerged(): boolean {
    return this.original !== null;
  }

  /** Where the dropout's stream stands; null without dropout. Set, training goes on with exactly the masks that came next. */
  get dropoutState(): PhiloxState | null {
    return this.dropout?.stream.state ?? null;
  }

  set dropoutState(state: PhiloxState | null) {
    if ((state === null) !== (this.dropout === null)) {
      throw new ArgumentError(`LoraLinear: a state of dropout is ${state === null ? 'missing' : 'too much'}`);
    }
    if (this.dropout && state) this.dropout = { ...this.dropout, stream: Philox.fromState(state) };
  }

  /** x[..., I] -> [..., O]. @throws ShapeError INVALID_ARGUMENT: another last axis */
  override forward(x: Tensor): Tensor {
    const y = super.forward(x);
    if (this.isMerged || !this.isEnabled) return y;
    return add(y, mulScalar(this.lora_B.forward(this.lora_A.forward(this.dropped(x))), this.scaling));
  }

  private dropped(x: Tensor): Tensor {
    if (this.dropout === null || !isGradEnabled()) return x;
    return dropout(x, this.dropout.probability, this.dropout.stream);
  }

  /** Adds the difference to the weight: W + (alpha / rank) · B A. A copy of W is kept. Does nothing when merged. */
  merge(): void {
    if (this.isMerged) return;
    const original = this.weight.toFloat32Array();
    const merged = noGrad(() =>
      scope(() =>
        add(
          this.weight,
          mulScalar(matmul(this.lora_B.weight, this.lora_A.weight), this.scaling),
        ).toFloat32Array(),
      ),
    );
    this.weight.write(merged);
    this.original = original;
  }

  /** Puts the weight back to the bit. Does nothing when not merged. */
  unmerge(): void {
    if (this.original === null) return;
    this.weight.write(this.original);
    this.original = null;
  }

  /** A plain layer with the weight as it is now; frees A and B, and this layer must not be used any more. */
  release(): Linear {
    const [outFeatures = 1, inFeatures = 1] = this.weight.shape;
    this.lora_A.dispose();
    this.lora_B.dispose();
    this.original = null;
    return new Linear(inFeatures, outFeatures, { init: () => this.weight, bias: this.bias ?? false });
  }
}
