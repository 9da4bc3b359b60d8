import { noGrad } from '../autograd/record.js';
import { full, ones } from '../create.js';
import { add, addScalar, div, mul, mulScalar, sub } from '../ops/arithmetic.js';
import { concat, reshape } from '../ops/layout.js';
import { linear, matmul } from '../ops/matmul.js';
import { abs, relu } from '../ops/pointwise.js';
import { max, mean } from '../ops/reductions.js';
import { straightThrough } from '../ops/straight-through.js';
import { scope } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { Linear } from './layers.js';

/** Least scale, so that zeros have one. @see Ma et al. 2024, arXiv:2402.17764 §2 (ε) */
const MIN_SCALE = 1e-5;
/** Codes of an activation are −127 … 127. */
const MAX_CODE = 127;
/** 1.5 · 2^23: adding it leaves an f32 no bits below one, so the sum is rounded to a whole number, halves to even. */
const ROUNDER = 12_582_912;

/** Whole numbers nearest to x, halves to even, |x| < 2^22; not recorded. */
function round(x: Tensor): Tensor {
  return addScalar(addScalar(x, ROUNDER), -ROUNDER);
}

/** Whole numbers clipped to −1 … 1, exactly. */
function clipToTernary(x: Tensor): Tensor {
  return addScalar(sub(relu(addScalar(x, 1)), relu(addScalar(x, -1))), -1);
}

/** Codes −1, 0 and 1 of a weight, and the scale that they stand for multiples of. */
function weightCodes(weight: Tensor): { readonly codes: Tensor; readonly inverse: number } {
  // As the reference does, in f32: the inverse of the scale is rounded, not the scale.
  const inverse = Math.fround(1 / Math.max(mean(abs(weight)).item(), MIN_SCALE));
  return { codes: clipToTernary(round(mulScalar(weight, inverse))), inverse };
}

/** f[N, 1] repeated to [N, C]: products with one, so exact. */
function repeat(f: Tensor, columns: number): Tensor {
  return matmul(f, ones([1, columns]));
}

/** Codes −127 … 127 of activations x[N, C], and the factor f[N, 1] of each row that gave them. */
function activationCodes(x: Tensor): { readonly codes: Tensor; readonly f: Tensor } {
  const [rows = 1, columns = 1] = x.shape;
  const largest = reshape(max(abs(x), 1), [rows, 1]);
  const atLeast = max(concat([largest, full([rows, 1], MIN_SCALE)], 1), 1);
  const f = reshape(div(MAX_CODE, atLeast), [rows, 1]);
  // |x| times its row's factor is at most 127 and a rounding error, so rounding needs no clipping.
  return { codes: round(mul(x, repeat(f, columns))), f };
}

/** `quantized` for a share λ of the difference to x, with the gradient of x. */
function blend(x: Tensor, lambda: number, quantize: () => Tensor): Tensor {
  const value = scope(() =>
    noGrad(() => (lambda === 1 ? quantize() : add(x, mulScalar(sub(quantize(), x), lambda)))),
  );
  return straightThrough(x, value);
}

/**
 * A linear layer that computes with ternary weights and 8-bit activations, and trains full-precision ones: BitNet
 * b1.58. Weights are −s, 0 or s with s = mean |W|; each row of activations is rounded to multiples of its largest
 * magnitude over 127. Gradients pass both roundings unchanged. Normalise the input before, as the blocks of a Llama do.
 *
 * `pack()` computes with whole numbers instead: sums of products of codes, which f32 holds exactly up to
 * 2^24 / 127 = 132 104 columns, scaled once. Same result as the training graph to 1e-5 of the largest output.
 * @see Ma et al. 2024, arXiv:2402.17764 eq. 1–3; "The Era of 1-bit LLMs: Training Tips, Code and FAQ", 2024
 */
export class BitLinear extends Linear {
  /** Share of the roundings that is applied: 0 is a plain layer, 1 all of them. For warm-up of pre-trained weights. */
  lambda = 1;
  private packed: { readonly codes: Tensor; readonly scale: number } | null = null;

  /** Takes over the weight of a layer, which must not be used any more. */
  static from(layer: Linear): BitLinear {
    const [outFeatures = 1, inFeatures = 1] = layer.weight.shape;
    return new BitLinear(inFeatures, outFeatures, { init: () => layer.weight, bias: layer.bias ?? false });
  }

  /** x[..., I] -> [..., O]. @throws ShapeError INVALID_ARGUMENT: another last axis */
  override forward(x: Tensor): Tensor {
    const [outFeatures = 1, inFeatures = 1] = this.weight.shape;
    const rows = reshape(x, [-1, inFeatures]);
    const y = this.packed === null ? this.train(rows) : this.infer(rows, this.packed);
    return reshape(this.bias === null ? y : add(y, this.bias), [...x.shape.slice(0, -1), outFeatures]);
  }

  /** The weight as the layer computes with it: −s, 0 and s (all of it, whatever `lambda` is); a new tensor. */
  ternaryWeight(): Tensor {
    return scope(() =>
      noGrad(() => {
        const { codes, inverse } = weightCodes(this.weight);
        return mulScalar(codes, 1 / inverse);
      }),
    );
  }

  /**
   * Rounds the weight once, for inference; later changes of it count after `unpack`. A weight that is ternary
   * already is taken as it is: the mean of its magnitudes, zeros included, is not its scale.
   */
  pack(): void {
    this.unpack();
    const scale = ternaryScale(this.weight.toFloat32Array());
    this.packed = noGrad(() =>
      scope(() => {
        const { codes, inverse } =
          scale === null
            ? weightCodes(this.weight)
            : { codes: round(mulScalar(this.weight, 1 / scale)), inverse: 1 / scale };
        return { codes: codes.keep(), scale: 1 / inverse };
      }),
    );
  }

  /** Back to the training graph. */
  unpack(): void {
    this.packed?.codes.dispose();
    this.packed = null;
  }

  override dispose(): void {
    this.unpack();
    super.dispose();
  }

  private train(x: Tensor): Tensor {
    const xq = blend(x, this.lambda, () => {
      const { codes, f } = activationCodes(x);
      return div(codes, repeat(f, x.shape[1] ?? 1));
    });
    return linear(
      xq,
      blend(this.weight, this.lambda, () => this.ternaryWeight()),
    );
  }

  private infer(x: Tensor, { codes, scale }: { readonly codes: Tensor; readonly scale: number }): Tensor {
    return scope(() =>
      noGrad(() => {
        const activations = activationCodes(x);
        const sums = linear(activations.codes, codes);
        return mulScalar(div(sums, repeat(activations.f, sums.shape[1] ?? 1)), scale);
      }),
    );
  }
}

/** s of a weight that holds nothing but −s, 0 and s; null of any other. */
function ternaryScale(values: Float32Array): number | null {
  let scale = 0;
  for (const value of values) {
    const magnitude = Math.abs(value);
    if (magnitude === 0) continue;
    if (scale === 0) scale = magnitude;
    if (magnitude !== scale) return null;
  }
  return scale === 0 ? null : scale;
}
