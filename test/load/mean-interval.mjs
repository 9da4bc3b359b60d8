/** 97.5 % quantiles of Student's t by degrees of freedom, from 1. @see NIST/SEMATECH e-Handbook of Statistical Methods §1.3.6.7.2 */
const T_975 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/**
 * Mean of values that differ by chance, with its 95 % interval by Student's t.
 * @param values  of one alone nothing is known, its interval is a point; more than ten get the quantile of ten, which is wider
 */
export function meanInterval(values) {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, low: mean, high: mean };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = T_975[Math.min(n, 10) - 2] * Math.sqrt(variance / n);
  return { mean, low: mean - half, high: mean + half };
}
