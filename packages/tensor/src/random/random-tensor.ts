import { native } from '../backend.js';
import { empty, tensor } from '../create.js';
import { type Shape, sizeOf } from '../dtype.js';
import type { Tensor } from '../tensor.js';
import type { Philox } from './philox.js';

/**
 * Uniform numbers in [low, high), f32. Starts at the next block of the stream and advances it by whole
 * blocks; element i is what the i-th call of `stream.float()` would give.
 */
export function uniform(stream: Philox, shape: Shape, low = 0, high = 1): Tensor {
  const out = empty(shape);
  const { keyLow, keyHigh, blockLow, blockHigh, base } = stream.reserve(sizeOf(shape));
  native().philoxUniform(out.handle, keyLow, keyHigh, blockLow, blockHigh, base);
  if (low === 0 && high === 1) return out;
  native().scaleInPlace(out.handle, high - low);
  if (low === 0) return out;
  const shifted = native().addScalar(out.handle, low);
  native().copy(out.handle, shifted);
  native().free(shifted);
  return out;
}

/**
 * Normal numbers, f32, computed on the host so that every instruction set gives the same bits. Starts at
 * the next block of the stream; element i is what the i-th call of `stream.normal()` would give.
 */
export function normal(stream: Philox, shape: Shape, mean = 0, std = 1): Tensor {
  const values = new Float32Array(sizeOf(shape));
  stream.align();
  for (let i = 0; i < values.length; i++) values[i] = mean + std * stream.normal();
  stream.align();
  return tensor(values, shape);
}
