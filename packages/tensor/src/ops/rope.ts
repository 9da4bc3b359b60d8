import { ROPE_PAIRINGS } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import type { Tensor } from '../tensor.js';
import { float, refuseShapes, result } from './operand.js';

/** How positions are rotated in. */
export interface RopeOptions {
  /** Position of row 0. Default 0. */
  readonly position0?: number;
  /** Base of the angles. Default 10000. */
  readonly theta?: number;
  /** What the angle of each pair is divided by, D/2 numbers above 0: scaled RoPE. Default: nothing is divided. */
  readonly factors?: readonly number[];
  /** `neox` pairs components i and i + D/2 (Hugging Face weights), `norm` pairs 2i and 2i + 1 (original Llama). Default `neox`. */
  readonly pairing?: 'neox' | 'norm';
}

/**
 * Rotary position embedding of x[B,T,H,D], D even: pair i of row t turns by (position0 + t) · theta^(−2i/D) / factors[i].
 * @returns f32, shape of x, a new buffer
 * @throws ShapeError     INVALID_ARGUMENT: x is not [B,T,H,D] with an even D; another number of factors
 * @throws ArgumentError  INVALID_ARGUMENT: theta or a factor that is not above 0
 * @see Su et al. 2021, arXiv:2104.09864 eq. 34
 */
export function rope(
  x: Tensor,
  { position0 = 0, theta = 10000, factors = [], pairing = 'neox' }: RopeOptions = {},
): Tensor {
  const input = float('rope', x);
  if (x.shape.length !== 4 || (x.shape[3] as number) % 2 !== 0) {
    refuseShapes('rope', 'x must be [B,T,H,D] with an even D', x);
  }
  const code = pairing === 'neox' ? ROPE_PAIRINGS.NEOX : ROPE_PAIRINGS.NORM;
  const out = result(native().rope(input, position0, theta, factors, code, false), x.shape);
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => {
    node.give(x, native().rope(node.gradient, position0, theta, factors, code, true));
  });
}
