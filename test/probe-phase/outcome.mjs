import { createHash } from 'node:crypto';

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** State before the first unit. @param inputs  digests, in order */
export const firstState = (seed, inputs) => sha256(`probe ${seed} ${inputs.join(' ')}`);

/** State after one more unit. */
export const nextState = (state, unit) => sha256(`${state} ${unit}`);

/** Text that a probe delivers: a report as the validators want it, filled up to `output_bytes`. */
export function reportText(state, outputBytes, outcome) {
  const report = { phase: 'probe', outcome, metrics: [], curves: [], state };
  const missing = outputBytes - JSON.stringify(report).length;
  if (missing > 0) report.filling = state.repeat(Math.ceil(missing / state.length)).slice(0, missing);
  return JSON.stringify(report);
}

/**
 * Digest of what a probe delivers when nothing disturbs it: a pure function of configuration, seed and inputs.
 * @param config    its `units` (default 10) and `output_bytes` (default 64) count, nothing else
 * @param inputs    digests of the inputs, in order
 * @param fallback  whether the fallback took the place of the work
 */
export function expectedDigest(config, seed, inputs, fallback = false) {
  const { units = 10, output_bytes: outputBytes = 64 } = config;
  let state = firstState(seed, inputs);
  if (!fallback) for (let unit = 0; unit < units; unit++) state = nextState(state, unit);
  return `sha256:${sha256(reportText(state, outputBytes, fallback ? 'fallback' : 'worked'))}`;
}
