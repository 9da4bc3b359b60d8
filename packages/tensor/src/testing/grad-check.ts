import { backward } from '../autograd/backward.js';
import { noGrad } from '../autograd/record.js';
import { tensor } from '../create.js';
import { mul } from '../ops/arithmetic.js';
import { sum } from '../ops/reductions.js';
import { scope } from '../scope.js';
import { parameter, type Tensor } from '../tensor.js';

/** How gradients are compared with differences. */
export interface GradCheckOptions {
  /** Step of the central difference, in units of the inputs. Default 1e-2: f32 rounding (6e-8/step) and the cubic term (step²) balance near it. */
  readonly step?: number;
}

/** The worst disagreement between a gradient and its finite difference. */
export interface GradCheckResult {
  /** Largest |gradient − difference| / max(1, |difference|). */
  readonly worst: number;
  /** Where: input number, element, both values. */
  readonly at: {
    readonly input: number;
    readonly element: number;
    readonly gradient: number;
    readonly difference: number;
  };
}

/** Weights of the outputs, so that no error cancels in their sum: cos(1), cos(3), cos(5), … never repeats. */
function probe(out: Tensor): Tensor {
  const weights = Float32Array.from({ length: out.size }, (_, i) => Math.cos(2 * i + 1));
  return sum(mul(out, tensor(weights, out.shape)));
}

/**
 * Compares every gradient of `fn` with central finite differences of a weighted sum of its outputs.
 * @param fn      a differentiable function of the inputs, computed by operations of this package
 * @param inputs  f32 leaves with parameter() called on them; their elements are moved and put back
 */
export function gradCheck(
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  { step = 1e-2 }: GradCheckOptions = {},
): GradCheckResult {
  for (const input of inputs) {
    parameter(input);
    input.gradBuffer?.dispose();
    input.gradBuffer = null;
  }
  scope(() => backward(probe(fn(...inputs))));
  const evaluate = (): number => scope(() => noGrad(() => weightedSum(fn(...inputs))));
  let worst: GradCheckResult = { worst: 0, at: { input: -1, element: -1, gradient: 0, difference: 0 } };
  inputs.forEach((input, index) => {
    const values = input.toFloat32Array();
    const gradients = input.grad?.toFloat32Array() ?? new Float32Array(values.length);
    for (let element = 0; element < values.length; element++) {
      const value = values[element] as number;
      const high = Math.fround(value + step);
      const low = Math.fround(value - step);
      const at = (moved: number): number => {
        input.write(Float32Array.of(moved), element);
        return evaluate();
      };
      const difference = (at(high) - at(low)) / (high - low);
      at(value);
      const gradient = gradients[element] as number;
      const error = Math.abs(gradient - difference) / Math.max(1, Math.abs(difference));
      if (!(error <= worst.worst))
        worst = { worst: error, at: { input: index, element, gradient, difference } };
    }
  });
  return worst;
}

/** The probe in double precision on the host: only fn itself is rounded to f32. */
function weightedSum(out: Tensor): number {
  return out
    .toFloat32Array()
    .reduce((total, value, i) => total + value * Math.fround(Math.cos(2 * i + 1)), 0);
}
