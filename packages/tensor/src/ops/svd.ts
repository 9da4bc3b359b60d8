import { needsGraph } from '../autograd/record.js';
import { native } from '../backend.js';
import { GraphError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { float, refuseShapes, result } from './operand.js';

/** The factors of a matrix: x = u · diag(s) · vT. */
export interface Svd {
  /** [M,K], orthonormal columns; the component of largest magnitude of each is positive. */
  readonly u: Tensor;
  /** [K], falling, ≥ 0. */
  readonly s: Tensor;
  /** [K,N], orthonormal rows. */
  readonly vT: Tensor;
}

/**
 * The thin singular value decomposition of a matrix, K = min(M, N), by one-sided Jacobi in f64; the same bytes on
 * every machine. Has no gradient.
 * @param x  f32 [M,N]
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: not a matrix; elements that are not finite
 * @throws GraphError FAILED_PRECONDITION: x requires a gradient; detach() it or use noGrad()
 * @see Hestenes 1958; Brent & Luk 1985. s agrees with LAPACK to 1e-6 · s₀
 */
export function svd(x: Tensor): Svd {
  const handle = float('svd', x);
  const [rows, columns] = x.shape;
  if (x.shape.length !== 2) refuseShapes('svd', 'needs a matrix [M,N]', x);
  if (needsGraph(x)) throw new GraphError('svd: has no gradient; detach() its operand or use noGrad()');
  const rank = Math.min(rows as number, columns as number);
  const [u, s, vT] = native().svd(handle);
  return {
    u: result(u, [rows as number, rank]),
    s: result(s, [rank]),
    vT: result(vT, [rank, columns as number]),
  };
}
