import { noGrad } from '../autograd/record.js';
import { tensor } from '../create.js';
import { add, mulScalar, sub } from '../ops/arithmetic.js';
import { reshape } from '../ops/layout.js';
import { linear } from '../ops/matmul.js';
import { straightThrough } from '../ops/straight-through.js';
import {
  absmaxFakeQuantize,
  absmeanFakeQuantize,
  absmeanQuantize,
  type Quantized,
} from '../quantize/bitnet.js';
import { TernaryMatrix, ternaryMatmul } from '../quantize/ternary-matrix.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { Linear } from './layers.js';

/** x rounded by `quantize` for a share λ of the difference, with the gradient of x. */
function blend(x: Tensor, lambda: number, quantize: (x: Tensor) => Tensor): Tensor {
  if (lambda === 1) return quantize(x);
  const value = scope(() => noGrad(() => add(x, mulScalar(sub(quantize(x), x), lambda))));
  return straightThrough(x, value);
}

/**
 * A linear layer that computes with ternary weights and 8-bit activations, and trains full-precision ones: BitNet
 * b1.58. Weights are −s, 0 or s with s = mean |W|; each row of activations is rounded to multiples of its largest
 * magnitude over 127. Gradients pass both roundings unchanged. Normalise the input before, as the blocks of a Llama do.
 *
 * `pack()` computes with whole numbers instead: two bits a weight, exact sums of products of codes, scaled once (see
 * `ternaryMatmul`). Same result as the training graph to 1e-5 of the largest output.
 * @see Ma et al. 2024, arXiv:2402.17764 eq. 1–3; "The Era of 1-bit LLMs: Training Tips, Code and FAQ", 2024
 */
export class BitLinear extends Linear {
  /** Share of the roundings that is applied: 0 is a plain layer, 1 all of them. For warm-up of pre-trained weights. */
  lambda = 1;
  private packed: TernaryMatrix | null = null;

  /** Takes over the weight of a layer, which must not be used any more. */
  static from(layer: Linear): BitLinear {
    const [outFeatures = 1, inFeatures = 1] = layer.weight.shape;
    return new BitLinear(inFeatures, outFeatures, { init: () => layer.weight, bias: layer.bias ?? false });
  }

  /** x[..., I] -> [..., O]. @throws ShapeError INVALID_ARGUMENT: another last axis */
  override forward(x: Tensor): Tensor {
    const [outFeatures = 1, inFeatures = 1] = this.weight.shape;
    const rows = reshape(x, [-1, inFeatures]);
    const y = this.packed === null ? this.train(rows) : ternaryMatmul(rows, this.packed);
    return reshape(this.bias === null ? y : add(y, this.bias), [...x.shape.slice(0, -1), outFeatures]);
  }

  /** The weight as the layer computes with it: −s, 0 and s (all of it, whatever `lambda` is); a new tensor. */
  ternaryWeight(): Tensor {
    return noGrad(() => absmeanFakeQuantize(this.weight));
  }

  /** The weight as `forward` uses it now, rounded by `lambda` or packed; a new tensor. */
  computedWeight(): Tensor {
    const { packed } = this;
    if (packed === null) {
      return scope(() => noGrad(() => blend(this.weight, this.lambda, absmeanFakeQuantize)));
    }
    return scope(() => {
      const step = packed.step.item();
      const codes = packed.unpack().toTypedArray() as Int8Array;
      return tensor(
        Float32Array.from(codes, (code) => code * step),
        this.weight.shape,
      );
    });
  }

  /**
   * Rounds the weight once, for inference; later changes of it count after `unpack`. A weight that is ternary
   * already is taken as it is: the mean of its magnitudes, zeros included, is not its scale.
   * @throws ArgumentError INVALID_ARGUMENT: a weight is NaN or infinite
   */
  pack(): void {
    this.unpack();
    this.packed = scope(() => TernaryMatrix.pack(ternaryCodes(this.weight) ?? absmeanQuantize(this.weight)));
  }

  /** Back to the training graph. */
  unpack(): void {
    this.packed?.dispose();
    this.packed = null;
  }

  override dispose(): void {
    this.unpack();
    super.dispose();
  }

  private train(x: Tensor): Tensor {
    return linear(
      blend(x, this.lambda, absmaxFakeQuantize),
      blend(this.weight, this.lambda, absmeanFakeQuantize),
    );
  }
}

/** Signs and scale s of a weight that holds nothing but −s, 0 and s; null of any other. */
function ternaryCodes(weight: Tensor): Quantized | null {
  const values = weight.toFloat32Array();
  const scale = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const isTernary = values.every((value) => value === 0 || Math.abs(value) === scale);
  if (!isTernary || scale === 0) return null;
  return { codes: tensor(Int8Array.from(values, Math.sign), weight.shape), step: tensor([scale]) };
}
