import { Philox, reshape, type Tensor, tensor, viewRows } from '@agentforge/tensor';
import type { Operand } from './operation.js';
import { build, count, type Dense } from './reference/dense.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { floor, fround, round } = Math;

const SEED = 20260;

/** Elements of an operand in f32, from a stream named by where it is used. */
export function fill(operand: Operand, name: string): Dense {
  const stream = new Philox(SEED).stream(name);
  const { shape, low = -2, high = 2, below, grid } = operand;
  if (below !== undefined) return build(shape, () => stream.integer(below));
  if (operand.isSpaced === true) {
    const order = stream.permutation(count(shape));
    return build(shape, (i) => fround(((order[i] ?? 0) - floor(order.length / 2)) * 0.1 + 0.05));
  }
  const draw = (): number => low + (high - low) * stream.float();
  return build(shape, () => fround(grid === undefined ? draw() : round(draw() / grid) * grid));
}

/** The elements as a tensor at the start of a buffer of its own. */
export function own(operand: Operand, values: Dense): Tensor {
  return tensor(values.data, values.shape, { dtype: operand.below === undefined ? 'f32' : 'i32' });
}

const LEAD = 3; // elements before the operand, so that it starts at no vector boundary

/** The same elements as a view into a larger buffer, at an odd offset. */
export function inside(operand: Operand, values: Dense): Tensor {
  const padded = [...Array.from({ length: LEAD }, () => 99), ...values.data, 99];
  const dtype = operand.below === undefined ? 'f32' : 'i32';
  const buffer = tensor(padded, [padded.length], { dtype });
  return reshape(viewRows(buffer, LEAD, LEAD + values.data.length), values.shape);
}
