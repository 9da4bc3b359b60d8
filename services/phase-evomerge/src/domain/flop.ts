import { countParameters, type ModelConfig } from '@agentforge/model';

/**
 * Floating-point operations of the forward pass per token, at a given context: 2 per weight of a matrix product
 * (the tied head counts, the look-up does not), and attention scores and values.
 * @see Kaplan et al. 2020, arXiv:2001.08361 table 1
 */
export function forwardFlopPerToken(config: ModelConfig, context: number): number {
  const { body } = countParameters(config);
  const head = config.vocabSize * config.hiddenSize;
  const attention = 2 * config.numLayers * config.numHeads * config.headDim * context;
  return 2 * (body + head) + attention;
}
