import { at, build, type Dense } from './dense.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { exp } = Math;

/** f of every element. */
export function map(x: Dense, f: (value: number) => number): Dense {
  return build(x.shape, (i) => f(at(x, i)));
}

/** f of every element of a and the element of b that repeats along a's trailing axes. */
export function zip(a: Dense, b: Dense, f: (x: number, y: number) => number): Dense {
  return build(a.shape, (i) => f(at(a, i), at(b, i % b.data.length)));
}

/** 1 / (1 + e⁻ˣ). */
export function sigmoid(x: number): number {
  return 1 / (1 + exp(-x));
}

/** x · sigmoid(x). */
export function silu(x: number): number {
  return x * sigmoid(x);
}

/** silu(gate) · up; Shazeer 2020 eq. 5. */
export function swiglu(gate: Dense, up: Dense): Dense {
  return zip(gate, up, (g, u) => silu(g) * u);
}
