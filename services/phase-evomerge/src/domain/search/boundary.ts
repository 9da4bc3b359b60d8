/**
 * Losses with a penalty for leaving [0, 1]ⁿ: a vector outside is measured where it was cut off, and pays for the squared way
 * back. One standard deviation of the samples costs the interquartile range of the generation's losses, so that the penalty
 * has the scale of the problem whatever that is.
 * @param variance  mean variance of a gene in this generation
 * @see Hansen et al. 2009, IEEE Trans. Evol. Comput. 13, 180–197, §IV-B: penalties relative to the interquartile range
 */
export function penalised(
  samples: readonly (readonly number[])[],
  losses: readonly number[],
  variance: number,
): number[] {
  const range = interquartileRange(losses);
  const price = (range > 0 ? range : 1) / variance;
  return losses.map((loss, i) => {
    const outside = (samples[i] ?? []).reduce((sum, x) => sum + (x - Math.min(1, Math.max(0, x))) ** 2, 0);
    return outside > 0 ? loss + price * outside : loss;
  });
}

/** Of the finite ones; 0 for fewer than two. */
function interquartileRange(losses: readonly number[]): number {
  const sorted = losses.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length < 2) return 0;
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] as number;
  return at(0.75) - at(0.25);
}
