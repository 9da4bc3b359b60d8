import { type Initializer, normalInit, type Philox, zerosInit } from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';

/** The initialiser of each matrix, by parameter name. Gains start at 1 and are not asked for. */
export type InitializerOf = (name: string) => Initializer;

/** Standard deviation of GPT-2 and Llama weights at the start. @see Radford et al. 2019, §2.3 */
export const INIT_STD = 0.02;

/** First weights of a neural memory: its perceptron has to be one from the first token. */
const MEMORY_WEIGHTS = /\.neural\.layers\.\d+\.weight$/;

/** Matrices that write into the residual stream. */
const RESIDUAL_OUTPUT = /\.(o_proj|down_proj)\.weight$/;

/**
 * Normal(0, 0.02); matrices that write into the residual stream are scaled by 1/sqrt(2L), so that its variance
 * does not grow with the depth L; first weights of memories are Normal(0, 1/in). Every tensor draws from a stream named after it: its values depend on the seed,
 * its name and its shape alone.
 * @see Radford et al. 2019, §2.3 (residual scaling)
 */
export function llamaInitializers(config: ModelConfig, rng: Philox): InitializerOf {
  const residualStd = INIT_STD / Math.sqrt(2 * config.numLayers);
  return (name) => (shape) => {
    const std = MEMORY_WEIGHTS.test(name)
      ? 1 / Math.sqrt(shape.at(-1) ?? 1)
      : RESIDUAL_OUTPUT.test(name)
        ? residualStd
        : INIT_STD;
    return normalInit(rng.stream(name), std)(shape);
  };
}

/** All zero: for weights that are written afterwards. */
export const zeroInitializers: InitializerOf = () => zerosInit;
