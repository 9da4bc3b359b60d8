/** What CMA-ES adapts with; all of it follows from the dimension and the size of a generation. */
export interface CmaConstants {
  /** Weight of each sample by rank: positive ones sum to 1, those of the worse half are negative. */
  readonly weights: readonly number[];
  /** Samples with a positive weight. */
  readonly mu: number;
  /** Variance-effective number of parents. */
  readonly muEff: number;
  /** Rates: of the path for the step size, of that for the covariance, of the rank-one and of the rank-µ update. */
  readonly cSigma: number;
  readonly cC: number;
  readonly c1: number;
  readonly cMu: number;
  /** Damping of the step size. */
  readonly dSigma: number;
  /** Expected length of a standard normal vector. */
  readonly chiN: number;
}

/** Samples of a generation when nobody says otherwise: 4 + ⌊3 ln n⌋. */
export function defaultPopulation(n: number): number {
  return 4 + Math.floor(3 * Math.log(n));
}

/**
 * The defaults of the tutorial.
 * @param n       dimension, at least 1
 * @param lambda  samples of a generation, at least 4
 * @see Hansen 2016, arXiv:1604.00772, eqs. 49–58 and table 1
 */
export function cmaConstants(n: number, lambda: number): CmaConstants {
  const raw = Array.from({ length: lambda }, (_, i) => Math.log((lambda + 1) / 2) - Math.log(i + 1));
  const mu = Math.floor(lambda / 2);
  const [better, worse] = [raw.slice(0, mu), raw.slice(mu)];
  const muEff = effective(better);
  const muEffWorse = effective(worse);
  const c1 = 2 / ((n + 1.3) ** 2 + muEff);
  const cMu = Math.min(1 - c1, (2 * (0.25 + muEff + 1 / muEff - 2)) / ((n + 2) ** 2 + muEff));
  const cSigma = (muEff + 2) / (n + muEff + 5);
  // The most that the worse half may take away: no more variance than there is, and no more than the better half adds.
  const least = Math.min(
    1 + c1 / cMu,
    1 + (2 * muEffWorse) / (muEff + 2),
    Math.max(0, 1 - c1 - cMu) / (n * cMu),
  );
  const [sumBetter, sumWorse] = [sum(better), -sum(worse)];
  return {
    weights: raw.map((weight, i) =>
      i < mu ? weight / sumBetter : sumWorse === 0 ? 0 : (weight * least) / sumWorse,
    ),
    mu,
    muEff,
    cSigma,
    cC: (4 + muEff / n) / (n + 4 + (2 * muEff) / n),
    c1,
    cMu,
    dSigma: 1 + 2 * Math.max(0, Math.sqrt((muEff - 1) / (n + 1)) - 1) + cSigma,
    chiN: chi(n),
  };
}

/** √2 Γ((n + 1)/2) / Γ(n/2), by the recurrence of Γ from n = 1 or 2. */
function chi(n: number): number {
  const isOdd = n % 2 === 1;
  let ratio = isOdd ? 1 / Math.sqrt(Math.PI) : Math.sqrt(Math.PI) / 2;
  for (let k = isOdd ? 1 : 2; k < n; k += 2) ratio *= (k + 1) / k;
  return Math.SQRT2 * ratio;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function effective(weights: readonly number[]): number {
  return sum(weights) ** 2 / sum(weights.map((weight) => weight * weight));
}
