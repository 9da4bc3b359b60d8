/**
 * Rewards of thoughts: how much better each one predicts than the thoughts at the same place do on average. They sum to 0
 * at a place.
 * @param logProbs  log-probability of the true tokens after each thought, nats [J, N]: J thoughts at N places
 * @returns         [J, N]
 * @see Zelikman et al. 2024, arXiv:2403.09629 eq. 2
 */
export function rewardsOf(logProbs: Float64Array, thoughts: number): Float64Array {
  const places = logProbs.length / thoughts;
  const means = new Float64Array(places);
  logProbs.forEach((value, at) => {
    means[at % places] = (means[at % places] as number) + value / thoughts;
  });
  return logProbs.map((value, at) => value - (means[at % places] as number));
}

/** Rewards that are learnt from: those above 0. Thoughts that are merely worse than others are not pushed away. */
export function positivePart(rewards: Float64Array): Float64Array {
  return rewards.map((reward) => Math.max(0, reward));
}
