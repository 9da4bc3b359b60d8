import { checkSources } from './operands.js';

/** Above this cosine the arc is too short to divide by its sine: straight interpolation instead (mergekit). */
const COLINEAR = 0.9995;

/** Norms below this are not divided by (mergekit). */
const EPSILON = 1e-8;

/**
 * Spherical interpolation from `a` (t = 0) to `b` (t = 1). The angle comes from the normalised tensors; what is
 * interpolated are the tensors themselves, so that norms are kept.
 * @param t  0 to 1; 0 and 1 return copies of `a` and `b` exactly
 * @throws MergeOperandError  INVALID_ARGUMENT: lengths differ
 * @see Shoemake 1985; mergekit `slerp`
 */
export function slerp(a: Float32Array, b: Float32Array, t: number): Float32Array {
  checkSources('slerp', [a, b], [1 - t, t]);
  if (t === 0) return a.slice();
  if (t === 1) return b.slice();
  const [fromA, fromB] = slerpFactors(a, b, t);
  const merged = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) merged[i] = fromA * (a[i] as number) + fromB * (b[i] as number);
  return merged;
}

function slerpFactors(a: Float32Array, b: Float32Array, t: number): [number, number] {
  let dot = 0;
  let squareA = 0;
  let squareB = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    dot += x * y;
    squareA += x * x;
    squareB += y * y;
  }
  const normA = Math.sqrt(squareA);
  const normB = Math.sqrt(squareB);
  const cosine = dot / ((normA > EPSILON ? normA : 1) * (normB > EPSILON ? normB : 1));
  if (Math.abs(cosine) > COLINEAR) return [1 - t, t];
  const angle = Math.acos(cosine);
  return [Math.sin(angle * (1 - t)) / Math.sin(angle), Math.sin(angle * t) / Math.sin(angle)];
}
