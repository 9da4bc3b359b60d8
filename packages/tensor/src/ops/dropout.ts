import type { Handle } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import type { Philox } from '../random/philox.js';
import type { Tensor } from '../tensor.js';
import { float, result } from './operand.js';

/**
 * Zeroes each element with that probability, and divides the others by 1 − probability. Element e stays when word e of
 * the stream, from its next block on, is low; the stream advances by whole blocks. Backward draws the same mask again
 * instead of keeping it. For training only: leave the call out when evaluating.
 * @throws ArgumentError INVALID_ARGUMENT: probability outside [0, 1)
 * @see Srivastava et al. 2014
 */
export function dropout(x: Tensor, probability: number, stream: Philox): Tensor {
  const handle = float('dropout', x);
  const { keyLow, keyHigh, blockLow, blockHigh, base } = stream.reserve(x.size);
  const drop = (y: Handle): Handle =>
    native().dropout(y, probability, keyLow, keyHigh, blockLow, blockHigh, base);
  const out = result(drop(handle), x.shape);
  if (!needsGraph(x)) return out;
  return record(out, [x], [], (node) => node.give(x, drop(node.gradient)));
}
