import { f16Bits, f16Value } from '../safetensors/half.js';

/** Least scale, so that a matrix of zeros has one. @see Ma et al. 2024, arXiv:2402.17764 §2 (ε of absmean) */
const MIN_SCALE = 1e-5;

/** Whether a matrix holds nothing but −s, 0 and s for one s. */
export function isTernary(weight: Float32Array): boolean {
  let s = 0;
  for (const value of weight) {
    const magnitude = Math.abs(value);
    if (magnitude === 0) continue;
    if (s === 0) s = magnitude;
    if (magnitude !== s) return false;
  }
  return true;
}

/**
 * A matrix rounded to −s, 0 and s with s = mean |W|, as BitNet b1.58 rounds its weights: round(W/s) clipped to ±1,
 * halves to even. s is rounded to f16 first, which is how the block formats store it: what is written is what is
 * computed with.
 * @see Ma et al. 2024, arXiv:2402.17764 eq. 1–3
 */
export function ternarize(weight: Float32Array): Float32Array {
  const mean = weight.reduce((sum, value) => sum + Math.abs(value), 0) / Math.max(1, weight.length);
  const exact = Math.max(Math.fround(mean), MIN_SCALE);
  const s = f16Value(f16Bits(exact));
  return weight.map((value) => {
    const ratio = value / exact;
    // |ratio| of exactly 1/2 goes to 0, the even neighbour.
    return ratio > 0.5 ? s : ratio < -0.5 ? -s : 0;
  });
}
