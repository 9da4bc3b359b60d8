import { zeros } from '../create.js';
import type { Shape } from '../dtype.js';
import type { Philox } from '../random/philox.js';
import { normal, uniform } from '../random/random-tensor.js';
import type { Tensor } from '../tensor.js';

/** Makes the first values of a parameter. */
export type Initializer = (shape: Shape) => Tensor;

/** Normal values around 0; advances the stream by one number per element. */
export function normalInit(stream: Philox, std: number): Initializer {
  return (shape) => normal(stream, shape, 0, std);
}

/** Uniform values in [low, high); advances the stream by one number per element. */
export function uniformInit(stream: Philox, low: number, high: number): Initializer {
  return (shape) => uniform(stream, shape, low, high);
}

/** Zeros. */
export const zerosInit: Initializer = (shape) => zeros(shape);
