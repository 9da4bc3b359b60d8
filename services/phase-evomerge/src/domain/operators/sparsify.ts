import { MergeOperandError } from './operands.js';

/** Below this L1 norm a tensor is not rescaled (mergekit). */
const RESCALE_EPSILON = 1e-7;

/**
 * Keeps the `⌊density · n⌋` entries of largest magnitude, zeroes the rest. Of equal magnitudes at the threshold,
 * those with the lower index are kept.
 * @param delta    flat f32 tensor; not modified
 * @param density  (0, 1]
 * @throws MergeOperandError  INVALID_ARGUMENT: density outside (0, 1]
 * @see TIES, Yadav et al. 2023, arXiv:2306.01708 (trim); mergekit `magnitude`
 */
export function trimByMagnitude(delta: Float32Array, density: number): Float32Array {
  checkDensity('ties', density);
  const keep = Math.floor(density * delta.length);
  if (keep >= delta.length) return delta.slice();
  const kept = new Float32Array(delta.length);
  if (keep === 0) return kept;
  const threshold = largestMagnitude(delta, keep);
  let above = 0;
  for (const value of delta) if (Math.abs(value) > threshold) above++;
  let ties = keep - above;
  for (let i = 0; i < delta.length; i++) {
    const value = delta[i] as number;
    const magnitude = Math.abs(value);
    if (magnitude > threshold) kept[i] = value;
    else if (magnitude === threshold && ties > 0) {
      kept[i] = value;
      ties--;
    }
  }
  return kept;
}

/**
 * The k-th largest magnitude, 1 ≤ k ≤ n, in two passes: bit patterns of non-negative floats are ordered as the
 * numbers are, so counting the upper and then the lower halves of the words finds it without sorting.
 */
function largestMagnitude(values: Float32Array, k: number): number {
  const words = new Uint32Array(values.map(Math.abs).buffer);
  let left = k;
  const count = (halfOf: (word: number) => number): number => {
    const counts = new Uint32Array(0x10000);
    for (const word of words) {
      const half = halfOf(word);
      if (half >= 0) counts[half] = (counts[half] as number) + 1;
    }
    let half = 0xffff;
    for (; half > 0 && left > (counts[half] as number); half--) left -= counts[half] as number;
    return half;
  };
  const upper = count((word) => word >>> 16);
  const lower = count((word) => (word >>> 16 === upper ? word & 0xffff : -1));
  return new Float32Array(Uint32Array.of(upper * 0x10000 + lower).buffer)[0] as number;
}

/** How the survivors of DARE make up for what was dropped. */
export const DARE_RESCALE = {
  /** Multiplied so that the sum of magnitudes stays what it was: mergekit. */
  matchL1: 'match_l1',
  /** Multiplied by 1/density, so that the expectation stays the delta: the paper. */
  inverseDensity: 'inverse_density',
  /** Left alone. */
  none: 'none',
} as const;

/** One of {@link DARE_RESCALE}. */
export type DareRescale = (typeof DARE_RESCALE)[keyof typeof DARE_RESCALE];

/**
 * Keeps each entry with probability `density`, and rescales the survivors.
 * @param delta    flat f32 tensor; not modified
 * @param density  (0, 1]; 1 keeps everything and draws nothing
 * @param uniform  the next number of a uniform stream on [0, 1); one is drawn per entry
 * @throws MergeOperandError  INVALID_ARGUMENT: density outside (0, 1]
 * @see DARE, Yu et al. 2023, arXiv:2311.03099; mergekit `bernoulli` with L1 rescaling
 */
export function dropAndRescale(
  delta: Float32Array,
  density: number,
  uniform: () => number,
  rescale: DareRescale = DARE_RESCALE.matchL1,
): Float32Array {
  checkDensity('dare', density);
  if (density === 1) return delta.slice();
  const kept = new Float32Array(delta.length);
  let before = 0;
  let after = 0;
  for (let i = 0; i < delta.length; i++) {
    const value = delta[i] as number;
    before += Math.abs(value);
    if (uniform() < density) {
      kept[i] = value;
      after += Math.abs(value);
    }
  }
  const factor = rescaleFactor(rescale, density, before, after);
  if (factor !== 1) for (let i = 0; i < kept.length; i++) kept[i] = (kept[i] as number) * factor;
  return kept;
}

function rescaleFactor(rescale: DareRescale, density: number, before: number, after: number): number {
  if (rescale === DARE_RESCALE.none) return 1;
  if (rescale === DARE_RESCALE.inverseDensity) return 1 / density;
  return before < RESCALE_EPSILON || after < RESCALE_EPSILON ? 1 : before / after;
}

function checkDensity(operator: string, density: number): void {
  if (!(density > 0 && density <= 1)) {
    throw new MergeOperandError(operator, `density ${density} is not in (0, 1]`);
  }
}
