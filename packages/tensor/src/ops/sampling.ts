import { DTYPES } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import type { Philox } from '../random/philox.js';
import { Tensor } from '../tensor.js';
import { float, lastAxis, result } from './operand.js';

/** The largest elements of each row. */
export interface TopK {
  /** f32 [..., k], falling. */
  readonly values: Tensor;
  /** i32 [..., k]: where they are along the last axis. */
  readonly index: Tensor;
}

/**
 * The k largest elements along the last axis, falling; of equal ones the first comes first, NaN before all.
 * Gradients of the values go back to where they came from.
 * @throws ArgumentError INVALID_ARGUMENT: k outside 1..length of the last axis
 */
export function topK(x: Tensor, k: number): TopK {
  const [valueHandle, indexHandle] = native().topK(float('topK', x), k);
  const shape = [...x.shape.slice(0, -1), k];
  const [values, index] = [result(valueHandle, shape), new Tensor(indexHandle, 'i32', shape)];
  if (!needsGraph(x)) return { values, index };
  const recorded = record(values, [x], [index], (node) => {
    const api = native();
    const width = lastAxis(x.shape);
    const places = Int32Array.from(index.toTypedArray(), (at, i) => Math.floor(i / k) * width + at);
    const flat = api.alloc(DTYPES.i32, [places.length]);
    api.write(flat, places);
    const into = api.view(node.accumulator(x), 0, [x.size, 1]);
    const gradient = api.view(node.gradient, 0, [places.length, 1]);
    api.scatterAddRows(into, flat, gradient);
    for (const handle of [flat, into, gradient]) api.free(handle);
  });
  return { values: recorded, index };
}

/**
 * One index per row, with the probabilities of softmax(logits) along the last axis. Row r is decided by number r of the
 * stream, from its next block on. For a temperature divide the logits; −∞ rules an index out. Never recorded.
 * @param logits  f32 [..., V]
 * @returns       i32 [...], [1] for a single row
 * @throws ArgumentError INVALID_ARGUMENT: a row has a NaN, +∞, or nothing but −∞
 */
export function categorical(logits: Tensor, stream: Philox): Tensor {
  const handle = float('categorical', logits);
  const width = lastAxis(logits.shape);
  const rows = width === 0 ? 0 : logits.size / width;
  const leading = logits.shape.length > 1 ? logits.shape.slice(0, -1) : [1];
  const { keyLow, keyHigh, blockLow, blockHigh } = stream.reserve(rows);
  const matrix = native().view(handle, 0, [...leading, width]);
  try {
    return new Tensor(native().categorical(matrix, keyLow, keyHigh, blockLow, blockHigh), 'i32', leading);
  } finally {
    native().free(matrix);
  }
}
