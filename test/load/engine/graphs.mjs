/** The step cache stays out: every step is to be executed. CACHE_POLICY_OFF of cache.proto. */
const NO_CACHE = 3;

const step = (phase, id, after, config) => ({
  id,
  phase,
  after,
  cache: NO_CACHE,
  ...(config ? { config } : {}),
});

/** Steps one after another: s0, s1, … */
export function chain(phase, length, config) {
  return {
    steps: Array.from({ length }, (_, i) => step(phase, `s${i}`, i === 0 ? [] : [`s${i - 1}`], config)),
  };
}

/** Chains beside each other and a last step that waits for all of them: lanes × depth + 1 steps. */
export function lanes(phase, count, depth, config) {
  const steps = Array.from({ length: count * depth }, (_, i) => {
    const [lane, level] = [i % count, Math.floor(i / count)];
    return step(phase, `s${level}-${lane}`, level === 0 ? [] : [`s${level - 1}-${lane}`], config);
  });
  const ends = Array.from({ length: count }, (_, lane) => `s${depth - 1}-${lane}`);
  return { steps: [...steps, step(phase, 'last', ends, config)] };
}
