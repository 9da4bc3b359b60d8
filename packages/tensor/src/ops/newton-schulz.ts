import { needsGraph } from '../autograd/record.js';
import { native } from '../backend.js';
import { GraphError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { float, refuseShapes, result } from './operand.js';

/**
 * The nearest orthogonal matrix, roughly: x/‖x‖F, then X ← aX + (b·XXᵀ + c·(XXᵀ)²)X with (a, b, c) =
 * (3.4445, −4.7750, 2.0315). Five steps take singular values of 0.003 to 1 of the normalised matrix to 0.7 – 1.2.
 * @param x      f32 [M,N]; not modified
 * @param steps  default 5
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: not a matrix; steps outside 0..100
 * @throws GraphError FAILED_PRECONDITION: x requires a gradient, and this has none
 * @see Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"
 */
export function newtonSchulz(x: Tensor, steps = 5): Tensor {
  const handle = float('newtonSchulz', x);
  if (x.shape.length !== 2) refuseShapes('newtonSchulz', 'needs a matrix [M,N]', x);
  if (needsGraph(x))
    throw new GraphError('newtonSchulz: has no gradient; detach() its operand or use noGrad()');
  return result(native().newtonSchulz(handle, steps), x.shape);
}
