import type { Philox } from '@agentforge/tensor';

/** How the next token is chosen from logits. */
export interface SamplingOptions {
  /** Divides the logits; 0 takes the most likely token. Default 1. */
  readonly temperature?: number;
  /** Only the k most likely tokens. Default: all. */
  readonly topK?: number;
  /** Only the fewest most likely tokens whose probabilities reach p (nucleus sampling). Default 1: all. */
  readonly topP?: number;
}

/** Index of the largest logit; the lowest index of equals. NaN never wins. */
export function argmaxToken(logits: Float32Array): number {
  let best = 0;
  let bestLogit = Number.NEGATIVE_INFINITY;
  logits.forEach((logit, id) => {
    if (logit > bestLogit) {
      best = id;
      bestLogit = logit;
    }
  });
  return best;
}

/**
 * Draws a token. Top-k is applied before top-p, as transformers does; equals are ordered by id.
 * @param logits  f32 [V], not modified
 * @param rng     advanced by one draw unless the temperature is 0
 * @see Holtzman et al. 2020, arXiv:1904.09751 (top-p)
 */
export function sampleToken(logits: Float32Array, options: SamplingOptions, rng: Philox): number {
  const { temperature = 1, topK = logits.length, topP = 1 } = options;
  if (temperature === 0 || topK === 1) return argmaxToken(logits);
  const peak = logits[argmaxToken(logits)] ?? 0;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - peak) / temperature));
  let ids = Array.from(weights.keys());
  if (topK < ids.length || topP < 1) {
    ids.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
    ids = nucleus(ids.slice(0, topK), weights, topP);
  }
  let mass = 0;
  for (const id of ids) mass += weights[id] ?? 0;
  let left = rng.float() * mass;
  for (const id of ids) {
    left -= weights[id] ?? 0;
    if (left < 0) return id;
  }
  return ids.at(-1) ?? 0;
}

/** The shortest prefix of `ids` (most likely first) that holds at least `topP` of their mass. */
function nucleus(ids: number[], weights: Float64Array, topP: number): number[] {
  if (topP >= 1) return ids;
  let mass = 0;
  for (const id of ids) mass += weights[id] ?? 0;
  let reached = 0;
  const last = ids.findIndex((id) => {
    reached += weights[id] ?? 0;
    return reached >= topP * mass;
  });
  return ids.slice(0, last + 1);
}
